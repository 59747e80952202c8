/**
 * Handles write errors on standard output and standard error: the reader has closed the pipe, as in
 * `npm run poison -- list | head -1`, or the disk is full. Without this, Node ends the program with a stack trace.
 */
import { PermanentError, errnoOf } from './errors.ts';

/** EPIPE: the pipe has no reader. EIO: the terminal is gone. */
const READER_GONE = new Set(['EPIPE', 'EIO']);

let outputFailure: Error | undefined;

/** From now on, the program continues if standard output or standard error cannot be written. */
export function tolerateLostOutput(): void {
  process.stdout.on('error', (error) => (outputFailure ??= error));
  process.stderr.on('error', () => undefined);
}

/** Waits until standard output is written. Throws OUTPUT_NOT_WRITABLE, except when the reader has closed the pipe. */
export async function finishOutput(): Promise<void> {
  await new Promise<void>((resolve) => process.stdout.write('', () => resolve()));
  const errno = errnoOf(outputFailure);
  if (outputFailure === undefined || (errno !== undefined && READER_GONE.has(errno))) return;
  throw new PermanentError(
    'OUTPUT_NOT_WRITABLE',
    `Cannot write to standard output: ${outputFailure.message}.`,
    {
      hint: 'Redirect the output to another file.',
      cause: outputFailure,
    },
  );
}
