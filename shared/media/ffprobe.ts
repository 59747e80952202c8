/**
 * One question to ffprobe, with the limits of `ffmpeg.ts`, a time limit and a bounded answer.
 *
 * Leaves to others what the answer means: it is JSON of unknown shape until a schema has read it.
 */
import { PermanentError, TransientError } from '../runtime/errors.ts';
import { PROGRAM_OPTIONS, SOURCE_OPTIONS, fileUrl } from './ffmpeg.ts';
import { startTool } from './tool-process.ts';

/** Some hundred tracks with long tags; a real file's answer has a few kilobytes. */
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;

/** Throws MEDIA_TOOL_FAILED (transient where it was the time) or PROGRAM_MISSING. */
export async function askFfprobe({
  path,
  question,
  doing,
  timeLimitMs,
}: {
  readonly path: string;
  readonly question: readonly string[];
  readonly doing: string;
  readonly timeLimitMs: number;
}): Promise<unknown> {
  const stop = new AbortController();
  const args = [...PROGRAM_OPTIONS, ...SOURCE_OPTIONS, ...question, '-of', 'json', '-i', fileUrl(path)];
  const timer = setTimeout(() => {
    const took = `ffprobe took more than ${timeLimitMs / 1000} s while ${doing}.`;
    stop.abort(
      new TransientError('MEDIA_TOOL_FAILED', took, { hint: 'See whether the disk of the file answers.' }),
    );
  }, timeLimitMs);
  const ffprobe = startTool({
    program: 'ffprobe',
    args,
    doing,
    stdin: 'none',
    stdout: 'pipe',
    signal: stop.signal,
  });
  try {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of ffprobe.stdout) {
      const part = chunk as Buffer;
      bytes += part.length;
      if (bytes > ANSWER_BYTES_MAX) stop.abort(tooLong(doing));
      chunks.push(part);
    }
    await ffprobe.finished;
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
  } catch (error) {
    // What the program says of its own end comes before what that end did to its pipe.
    await ffprobe.finished;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function tooLong(doing: string): PermanentError {
  const said = `ffprobe said more than ${ANSWER_BYTES_MAX} bytes while ${doing}.`;
  return new PermanentError('MEDIA_TOOL_FAILED', said, {
    hint: 'The file has too many tracks or tags; copy what matters: ffmpeg -i FILE -map 0:v:0 -map 0:a -c copy NEW.mkv',
  });
}
