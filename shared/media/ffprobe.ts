/**
 * One question to ffprobe, with the limits of `ffmpeg.ts`, a time limit and a bounded answer.
 *
 * The caller gives the answer its meaning: JSON of unknown shape until a schema has read it, or lines.
 */
import { PermanentError, TransientError } from '../runtime/errors.ts';
import { PROGRAM_OPTIONS, SOURCE_OPTIONS, fileUrl } from './ffmpeg.ts';
import { startTool } from './tool-process.ts';

/** Some hundred tracks with long tags; a real file's answer has a few kilobytes. */
const ANSWER_CHARACTERS_MAX = 4 * 1024 * 1024;

interface Question {
  readonly path: string;
  readonly question: readonly string[];
  readonly doing: string;
  readonly timeLimitMs: number;
}

/** Throws MEDIA_TOOL_FAILED (transient where it was the time) or PROGRAM_MISSING. */
export async function askFfprobe(asked: Question): Promise<unknown> {
  const chunks: string[] = [];
  let characters = 0;
  await answer(asked, 'json', (text, stop) => {
    characters += text.length;
    if (characters > ANSWER_CHARACTERS_MAX) stop(tooLong(asked.doing));
    else chunks.push(text);
  });
  return JSON.parse(chunks.join('')) as unknown;
}

/** Calls back for each line of an answer of any length. Throws as `askFfprobe`. */
export async function eachLineOfFfprobe(asked: Question, onLine: (line: string) => void): Promise<void> {
  let rest = '';
  await answer(asked, 'csv=print_section=0', (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  });
  if (rest !== '') onLine(rest);
}

async function answer(
  { path, question, doing, timeLimitMs }: Question,
  format: string,
  onText: (text: string, stop: (reason: Error) => void) => void,
): Promise<void> {
  const stop = new AbortController();
  const args = [...PROGRAM_OPTIONS, ...SOURCE_OPTIONS, ...question, '-of', format, '-i', fileUrl(path)];
  const timer = setTimeout(() => {
    const took = `ffprobe took more than ${timeLimitMs / 1000} s while ${doing}.`;
    stop.abort(
      new TransientError('MEDIA_TOOL_FAILED', took, { hint: 'Check that the disk of the file answers.' }),
    );
  }, timeLimitMs);
  const ffprobe = startTool({
    program: 'ffprobe',
    args,
    doing,
    stdin: 'none',
    stdout: 'pipe',
    limits: { cpuSecondsMax: timeLimitMs / 1000 },
    signal: stop.signal,
  });
  try {
    for await (const text of ffprobe.stdout.setEncoding('utf8')) {
      onText(text as string, (reason) => stop.abort(reason));
    }
    await ffprobe.finished;
  } catch (error) {
    // The program's own reason for its end is preferred to what that end did to its pipe.
    await ffprobe.finished;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function tooLong(doing: string): PermanentError {
  const said = `ffprobe printed more than ${ANSWER_CHARACTERS_MAX} characters while ${doing}.`;
  return new PermanentError('MEDIA_TOOL_FAILED', said, {
    hint: 'The file has too many tracks or tags; copy what matters: ffmpeg -i FILE -map 0:v:0 -map 0:a -c:v libx264 -crf 12 -c:a copy NEW.mkv',
  });
}
