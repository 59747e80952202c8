/**
 * Standard output and error that cannot be written to: the reader has gone, as in `npm run poison -- list | head -1`, or the disk
 * of the file behind it is full. Unhandled, Node ends the program with a stack trace.
 */
import { PermanentError, errnoOf } from './errors.ts';

/** EPIPE: the pipe has no reader. EIO: the terminal is gone. */
const READER_GONE = new Set(['EPIPE', 'EIO']);

let outputFailure: Error | undefined;

/** From now on, what cannot be written is dropped, and the program goes on. */
export function tolerateLostOutput(): void {
  process.stdout.on('error', (error) => (outputFailure ??= error));
  process.stderr.on('error', () => undefined);
}

/** Waits until standard output is written. Throws OUTPUT_NOT_WRITABLE, but not for a reader that has gone: it wants no more. */
export async function finishOutput(): Promise<void> {
  await new Promise<void>((resolve) => process.stdout.write('', () => resolve()));
  const errno = errnoOf(outputFailure);
  if (outputFailure === undefined || (errno !== undefined && READER_GONE.has(errno))) return;
  throw new PermanentError(
    'OUTPUT_NOT_WRITABLE',
    `Cannot write to standard output: ${outputFailure.message}.`,
    {
      hint: 'Redirect it to another file.',
      cause: outputFailure,
    },
  );
}
