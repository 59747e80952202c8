/** Standard output and error whose reader may go away before the program does, as in `npm run poison -- list | head -1`. */
import { errnoOf } from './errors.ts';

/** EPIPE: the pipe has no reader. EIO: the terminal is gone. */
const READER_GONE = new Set(['EPIPE', 'EIO']);

/** A reader that has gone is not an error: the rest of the output is dropped. Other errors of the streams are thrown. */
export function tolerateClosedOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error) => {
      if (!READER_GONE.has(errnoOf(error) ?? '')) throw error;
    });
  }
}
