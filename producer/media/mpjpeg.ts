/**
 * Splits ffmpeg's mpjpeg stream into JPEGs, however the stream is chunked.
 *
 * Guarantees: time linear in the number of bytes; at most one JPEG and one chunk in memory; an error rather than a wrong split,
 * because a stated length is accepted only if a boundary follows. The grammar, as written by libavformat/mpjpeg.c:
 *
 *   stream = boundary part*    boundary = "--ffmpeg\r\n"
 *   part   = "Content-type: image/jpeg\r\nContent-length: N\r\n\r\n" N bytes "\r\n" boundary
 */
import { PermanentError } from '../../shared/runtime/errors.ts';

const BOUNDARY = Buffer.from('--ffmpeg\r\n');
const BOUNDARY_AFTER_PART = Buffer.from('\r\n--ffmpeg\r\n');
const HEADER_END = Buffer.from('\r\n\r\n');
/** A header from ffmpeg has about 50 bytes. */
const HEADER_BYTES_MAX = 256;
/** More than an incompressible frame of 8192 x 8192 pixels in 4:4:4. */
const JPEG_BYTES_MAX = 512 * 1024 * 1024;

/** Yields each JPEG once it is complete. Throws MEDIA_TOOL_FAILED if the stream is not mpjpeg or is truncated. */
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
          throw malformed('it does not start with a boundary');
        rest = rest.subarray(BOUNDARY.length);
        state = 'header';
        neededBytes = HEADER_END.length;
      } else if (state === 'header') {
        const end = rest.subarray(0, HEADER_BYTES_MAX).indexOf(HEADER_END);
        if (end === -1) {
          if (rest.length >= HEADER_BYTES_MAX) throw malformed('a header is too long');
          neededBytes = rest.length + 1;
        } else {
          neededBytes = contentLength(rest.toString('latin1', 0, end)) + BOUNDARY_AFTER_PART.length;
          rest = rest.subarray(end + HEADER_END.length);
          state = 'body';
        }
      } else {
        const bodyEnd = neededBytes - BOUNDARY_AFTER_PART.length;
        if (!rest.subarray(bodyEnd, neededBytes).equals(BOUNDARY_AFTER_PART)) {
          throw malformed('a length is wrong: no boundary follows the frame');
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
  if (state === 'body' || waitingBytes > 0) throw malformed('it ends in the middle of a frame');
}

function contentLength(header: string): number {
  const digits = /^Content-type: image\/jpeg\r\nContent-length: (\d{1,10})$/i.exec(header)?.[1];
  if (digits === undefined) throw malformed(`unexpected header ${JSON.stringify(header)}`);
  const bytes = Number(digits);
  if (bytes > JPEG_BYTES_MAX) throw malformed(`a header announces a frame of ${bytes} bytes`);
  return bytes;
}

function malformed(why: string): PermanentError {
  return new PermanentError('MEDIA_TOOL_FAILED', `The stream of frames from ffmpeg cannot be read: ${why}.`, {
    hint: 'Check the ffmpeg version with `ffmpeg -version`. Version 5.1 is tested.',
  });
}
