/**
 * The body of an answer of storage, which may stall or break off like everything else.
 *
 * What is small is read while the try that asked for it goes on: it then fails, is ended and is repeated with it. What is
 * large is passed on as it comes, and broken off when nothing comes for too long: the SDK then asks for the rest.
 */
import { Readable, Transform, pipeline } from 'node:stream';

import type { HttpOperationResponse } from '@azure/storage-blob';

/** A frame, or a model; a video is larger. */
const SMALL_BYTES = 32 * 1024 * 1024;

/** Puts a body in place that can be relied on. Throws where one that is small does not come. */
export async function settleBody(
  answer: HttpOperationResponse,
  {
    stallMs,
    onMoved,
  }: {
    readonly stallMs: number;
    /** More has come of a body that is small. */
    readonly onMoved: () => void;
  },
): Promise<void> {
  const body = answer.readableStreamBody;
  if (body === undefined) return;
  const length = answer.headers.get('content-length');
  const settled =
    length !== undefined && Number(length) <= SMALL_BYTES
      ? Readable.from(await allOf(body, onMoved), { objectMode: false })
      : breakingOff(body, stallMs);
  Object.assign(answer, { readableStreamBody: settled });
}

async function allOf(body: NodeJS.ReadableStream, onMoved: () => void): Promise<Buffer[]> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) {
    chunks.push(chunk as unknown as Buffer);
    onMoved();
  }
  return chunks;
}

/** Time that a slow reader takes does not count. */
function breakingOff(body: NodeJS.ReadableStream, stallMs: number): Readable {
  const passed = new Transform({
    transform: (chunk, _encoding, pass) => {
      timer.refresh();
      pass(null, chunk);
    },
  });
  const timer = setTimeout(() => {
    if (passed.readableLength > 0) timer.refresh();
    else passed.destroy(new Error(`nothing more of the answer came within ${stallMs} ms`));
  }, stallMs);
  // Whoever reads is told of a failure by the stream itself.
  pipeline(body, passed, () => clearTimeout(timer));
  return passed;
}
