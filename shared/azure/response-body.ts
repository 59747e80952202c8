/**
 * The body of a response from storage, which may stall or break off like any other part of a call.
 *
 * A small body is read within the try that requested it, so it is retried with that try. A large body is streamed, and its
 * stream fails if no data arrives for too long; the SDK then requests the rest.
 */
import { Readable, Transform, pipeline } from 'node:stream';

import type { HttpOperationResponse } from '@azure/storage-blob';

/** Frames and models are smaller; most videos are larger. */
const SMALL_BYTES = 32 * 1024 * 1024;

/** Replaces the body by one that cannot stall. Throws if a small body does not arrive. `onMoved`: more of it has arrived. */
export async function settleBody(
  response: HttpOperationResponse,
  stallMs: number,
  onMoved: () => void,
): Promise<void> {
  const body = response.readableStreamBody;
  if (body === undefined) return;
  const length = response.headers.get('content-length');
  const settled =
    length !== undefined && Number(length) <= SMALL_BYTES
      ? Readable.from(await readChunks(body, onMoved), { objectMode: false })
      : failingOnStall(body, stallMs);
  Object.assign(response, { readableStreamBody: settled });
}

async function readChunks(body: NodeJS.ReadableStream, onMoved: () => void): Promise<Buffer[]> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) {
    chunks.push(chunk as unknown as Buffer);
    onMoved();
  }
  return chunks;
}

/** Time spent by a slow reader does not count. */
function failingOnStall(body: NodeJS.ReadableStream, stallMs: number): Readable {
  const passed = new Transform({
    transform: (chunk, _encoding, pass) => {
      timer.refresh();
      pass(null, chunk);
    },
  });
  const timer = setTimeout(() => {
    if (passed.readableLength > 0) timer.refresh();
    else passed.destroy(new Error(`no more of the response arrived within ${stallMs} ms`));
  }, stallMs);
  // The stream itself reports the failure to its reader.
  pipeline(body, passed, () => clearTimeout(timer));
  return passed;
}
