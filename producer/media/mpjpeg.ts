/**
 * Cuts ffmpeg's mpjpeg stream into its JPEGs, however the stream was chunked.
 *
 * Promises: time linear in the bytes, no more held than one JPEG and one chunk, and an error rather than a wrong cut:
 * the lengths are believed only where the boundary stands behind them. The grammar, as libavformat/mpjpeg.c writes it:
 *
 *   stream = boundary part*    boundary = "--ffmpeg\r\n"
 *   part   = "Content-type: image/jpeg\r\nContent-length: N\r\n\r\n" N bytes "\r\n" boundary
 */
import { PermanentError } from '../../shared/runtime/errors.ts';

const BOUNDARY = Buffer.from('--ffmpeg\r\n');
const BOUNDARY_AFTER_PART = Buffer.from('\r\n--ffmpeg\r\n');
const HEADER_END = Buffer.from('\r\n\r\n');
/** The header has about 50 bytes. */
const HEADER_BYTES_MAX = 256;
/** An incompressible frame of 8192 x 8192 pixels in 4:4:4 stays below this. */
const JPEG_BYTES_MAX = 512 * 1024 * 1024;

/** Yields each JPEG once its last byte has come. Throws MEDIA_TOOL_FAILED where the stream is not mpjpeg, or cut. */
export async function* splitMpjpeg(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void> {
  const waiting: Buffer[] = [];
  let waitingBytes = 0;
  let neededBytes = BOUNDARY.length;
  let state: 'boundary' | 'header' | 'body' = 'boundary';

  for await (const chunk of chunks) {
    waiting.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    waitingBytes += chunk.byteLength;
    if (waitingBytes < neededBytes) continue;

    let rest =
      waiting.length === 1 && waiting[0] !== undefined ? waiting[0] : Buffer.concat(waiting, waitingBytes);
    while (rest.length >= neededBytes) {
      if (state === 'boundary') {
        if (!rest.subarray(0, BOUNDARY.length).equals(BOUNDARY))
          throw malformed('it does not begin with a boundary');
        rest = rest.subarray(BOUNDARY.length);
        state = 'header';
        neededBytes = HEADER_END.length;
      } else if (state === 'header') {
        const end = rest.subarray(0, HEADER_BYTES_MAX).indexOf(HEADER_END);
        if (end === -1) {
          if (rest.length >= HEADER_BYTES_MAX) throw malformed('a header has no end');
          neededBytes = rest.length + 1;
        } else {
          neededBytes = contentLength(rest.toString('latin1', 0, end)) + BOUNDARY_AFTER_PART.length;
          rest = rest.subarray(end + HEADER_END.length);
          state = 'body';
        }
      } else {
        const bodyEnd = neededBytes - BOUNDARY_AFTER_PART.length;
        if (!rest.subarray(bodyEnd, neededBytes).equals(BOUNDARY_AFTER_PART)) {
          throw malformed('a length is wrong: no boundary stands behind its picture');
        }
        yield rest.subarray(0, bodyEnd);
        rest = rest.subarray(neededBytes);
        state = 'header';
        neededBytes = HEADER_END.length;
      }
    }
    waiting.splice(0, waiting.length, ...(rest.length > 0 ? [rest] : []));
    waitingBytes = rest.length;
  }
  if (state === 'body' || waitingBytes > 0) throw malformed('it ends in the middle of a picture');
}

function contentLength(header: string): number {
  const digits = /^Content-type: image\/jpeg\r\nContent-length: (\d{1,10})$/i.exec(header)?.[1];
  if (digits === undefined) throw malformed(`a header is ${JSON.stringify(header)}`);
  const bytes = Number(digits);
  if (bytes > JPEG_BYTES_MAX) throw malformed(`a picture of ${bytes} bytes is announced`);
  return bytes;
}

function malformed(why: string): PermanentError {
  return new PermanentError('MEDIA_TOOL_FAILED', `The stream of frames from ffmpeg cannot be read: ${why}.`, {
    hint: 'The format is that of ffmpeg 5.1: see which release is installed (ffmpeg -version).',
  });
}
