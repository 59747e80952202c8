/**
 * Runs ffprobe on one file, with the restrictions of `ffmpeg.ts`, a time limit and a limit on its output.
 *
 * It returns JSON of unknown shape, or lines: the caller parses them.
 */
import type { Writable } from 'node:stream';

import { PermanentError, TransientError } from '../runtime/errors.ts';
import { PROGRAM_OPTIONS, SOURCE_OPTIONS, fileUrl } from './ffmpeg.ts';
import { startTool } from './tool-process.ts';

/** Enough for several hundred tracks with long tags. The output for a real file has a few kilobytes. */
const OUTPUT_CHARACTERS_MAX = 4 * 1024 * 1024;

const HEADER_TIME_LIMIT_MS = 30_000;
/** For reading all packets: 100 GB at 100 MB/s is 1,000 s. */
export const WHOLE_FILE_TIME_LIMIT_MS = 1_800_000;

interface FfprobeQuery {
  /** The path of a file, or its bytes, from which ffprobe reads what it needs. */
  readonly input: string | AsyncIterable<Uint8Array>;
  /** The options that select what ffprobe prints. */
  readonly fields: readonly string[];
  /** Completes "ffprobe failed while …". */
  readonly activity: string;
  /** The default is generous, for a slow network disk: reading a header normally takes well under a second. */
  readonly timeLimitMs?: number;
}

/** Throws MEDIA_TOOL_FAILED (transient after a time-out) or PROGRAM_MISSING. */
export async function queryFfprobe(query: FfprobeQuery): Promise<unknown> {
  const chunks: string[] = [];
  let characters = 0;
  await runFfprobe(query, 'json', (text, stop) => {
    characters += text.length;
    if (characters > OUTPUT_CHARACTERS_MAX) stop(outputTooLongError(query.activity));
    else chunks.push(text);
  });
  return JSON.parse(chunks.join('')) as unknown;
}

/**
 * Like `queryFfprobe`, for fields with packets: calls back for each of them, of which there may be any number, and returns the rest. What
 * accompanies a packet (its side data) is left out.
 */
export async function queryPackets(
  query: FfprobeQuery,
  onPacket: (packet: unknown) => void,
): Promise<unknown> {
  const rest: string[] = [];
  let characters = 0;
  let isInPackets = false;
  const takeLine = (line: string, stop: (reason: Error) => void): void => {
    // In the compact form a packet is a line, indented by eight; its side data follows, further indented.
    if (isInPackets && line.startsWith('        ')) {
      if (line.startsWith('        {')) onPacket(parsePacket(line));
      return;
    }
    isInPackets = line === '    "packets": [';
    characters += line.length;
    if (characters > OUTPUT_CHARACTERS_MAX) stop(outputTooLongError(query.activity));
    else rest.push(line);
  };
  await runFfprobe(query, 'json=compact=1', byLine(takeLine));
  return JSON.parse(rest.join('\n')) as unknown;
}

/** The line ends with a comma where another packet or side data follows. */
function parsePacket(line: string): unknown {
  const text = line.trim().replace(/,$/, '');
  return JSON.parse(text.endsWith('}') ? text : `${text}}`) as unknown;
}

/** Calls back for each line of output, of which there may be any number. Throws the same errors as `queryFfprobe`. */
export async function forEachFfprobeLine(query: FfprobeQuery, onLine: (line: string) => void): Promise<void> {
  await runFfprobe(query, 'csv=print_section=0', byLine(onLine));
}

type OnText = (text: string, stop: (reason: Error) => void) => void;

/** ffprobe ends its output with a line break. */
function byLine(onLine: OnText): OnText {
  let rest = '';
  return (text, stop) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line, stop);
  };
}

async function runFfprobe(
  { input, fields, activity, timeLimitMs = HEADER_TIME_LIMIT_MS }: FfprobeQuery,
  format: string,
  onText: OnText,
): Promise<void> {
  const stop = new AbortController();
  const source =
    typeof input === 'string'
      ? [...SOURCE_OPTIONS, '-i', fileUrl(input)]
      : [...SOURCE_OPTIONS, '-protocol_whitelist', 'pipe', '-i', 'pipe:0'];
  const args = [...PROGRAM_OPTIONS, ...fields, '-of', format, ...source];
  const timer = setTimeout(() => {
    const message = `ffprobe took more than ${timeLimitMs / 1000} s while ${activity}.`;
    const hint = 'Check that the disk with the file responds, then try again.';
    stop.abort(new TransientError('MEDIA_TOOL_FAILED', message, { hint }));
  }, timeLimitMs);
  const ffprobe = startTool({
    program: 'ffprobe',
    args,
    activity,
    stdin: typeof input === 'string' ? 'none' : 'pipe',
    stdout: 'pipe',
    limits: { cpuSecondsMax: timeLimitMs / 1000 },
    signal: stop.signal,
  });
  const fed = typeof input === 'string' ? undefined : feed(input, ffprobe.stdin);
  fed?.catch((error: unknown) => stop.abort(error));
  try {
    for await (const text of ffprobe.stdout.setEncoding('utf8')) {
      onText(text as string, (reason) => stop.abort(reason));
    }
    await ffprobe.finished;
    await fed;
  } catch (error) {
    // ffprobe's own error explains more than the broken pipe that it caused.
    await ffprobe.finished;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Writes at ffprobe's pace. Reads the input to its end, even if ffprobe has ended before. */
async function feed(input: AsyncIterable<Uint8Array>, stdin: Writable | null): Promise<void> {
  for await (const piece of input) await new Promise<void>((resolve) => stdin?.write(piece, () => resolve()));
  stdin?.end();
}

function outputTooLongError(activity: string): PermanentError {
  const message = `ffprobe printed more than ${OUTPUT_CHARACTERS_MAX} characters while ${activity}.`;
  return new PermanentError('MEDIA_TOOL_FAILED', message, {
    hint: 'The file has too many tracks or tags. Copy only the picture and the sound: ffmpeg -i FILE -map 0:v:0 -map 0:a -c:v libx264 -crf 12 -c:a copy NEW.mkv',
  });
}
