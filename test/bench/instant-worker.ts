/**
 * Stands in for a fleet of any size, in the process of the benchmark: answers each batch at once with segments that were encoded before. A
 * job then goes as fast as its producer, so that the producer's cost is that of its work and not of waiting for two cores to score.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { openWorkQueue } from '../../shared/azure/work-queue.ts';
import { previewBlob, segmentBlob } from '../../shared/contract/blob-names.ts';
import {
  type BatchMessage,
  batchMessage,
  decodeMessage,
  encodeMessage,
} from '../../shared/contract/messages.ts';
import { segmentMetadata, segmentsOf } from '../../shared/contract/segment.ts';
import { QUEUES } from '../../shared/contract/storage-layout.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import { wholePicture } from '../../worker/engine/fit.ts';
import { FramePool } from '../../worker/engine/frame-pool.ts';
import { previewOf } from '../../worker/engine/picture.ts';
import { framesFromPieces } from '../../worker/engine/piece-source.ts';
import { SegmentEncoder } from '../../worker/engine/segment-encoder.ts';
import { buildResult } from '../support/build-job.ts';
import type { TestStorage } from '../support/servers.ts';

const POLL_MS = 20;

/** Answers batches until it is disposed of. */
export async function startInstantWorker({ blobs, accounts }: TestStorage): Promise<AsyncDisposable> {
  const open = (name: (typeof QUEUES)[keyof typeof QUEUES]) => openWorkQueue(accounts.system, name);
  const [batches, results] = await Promise.all([open(QUEUES.frameBatches), open(QUEUES.batchResults)]);
  const stopping = new AbortController();
  const segments = new Map<string, Promise<Buffer>>();
  const work = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const message = await batches.receive({ visibilityTimeoutSeconds: 600 });
      if (message === undefined) {
        await systemClock.sleep(POLL_MS);
        continue;
      }
      const decoded = decodeMessage(message.text, batchMessage);
      if (decoded.kind !== 'valid') throw new Error('expected a valid batch');
      await store(decoded.message);
      await results.send(encodeMessage(resultOf(decoded.message)));
      await batches.remove(message);
    }
  };
  const store = async (batch: BatchMessage): Promise<void> => {
    const { frameStart, frameEnd, segmentFrames, pieceFormat } = batch;
    const grey = {
      pixels: Buffer.alloc(pieceFormat.width * pieceFormat.height * 3, 128),
      size: wholePicture(pieceFormat),
    };
    await blobs.put('scored', previewBlob(batch, frameStart), await previewOf(grey, grey, pieceFormat));
    for (const frames of segmentsOf([frameStart, frameEnd], segmentFrames)) {
      const count = frames[1] - frames[0];
      const key = JSON.stringify([count, pieceFormat, batch.picture, batch.encoding]);
      const segment = segments.get(key) ?? encode(blobs, batch, count);
      segments.set(key, segment);
      const metadata = segmentMetadata([], pieceFormat);
      await blobs.put('scored', segmentBlob(batch, frames), await segment, { onlyIfAbsent: true, metadata });
    }
  };
  const working = work();
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await working;
    },
  };
}

/** The first frames of the batch, unchanged. */
async function encode(blobs: BlobStore, batch: BatchMessage, count: number): Promise<Buffer> {
  const { frameStart, pieces, pieceFormat: format, picture, encoding } = batch;
  const { width, height } = format;
  const { signal } = new AbortController();
  const pool = new FramePool({ buffers: 4, bytesPerBuffer: width * height * 3 });
  const source = {
    blobs,
    split: batch,
    format,
    pieces,
    stalledMs: 60_000,
    signal,
    onFetched: () => undefined,
  };
  await using encoder = new SegmentEncoder({ width, height, picture, encoding }, signal);
  for await (const frame of framesFromPieces(source, [[frameStart, frameStart + count]], pool)) {
    await encoder.write(frame);
    pool.giveBack(frame);
  }
  return await encoder.finish();
}

function resultOf({ jobId, batchIndex, epoch, splitNumber, frameStart, frameEnd }: BatchMessage) {
  const framesRun = frameEnd - frameStart;
  return buildResult(jobId, {
    batchIndex,
    epoch,
    splitNumber,
    scored: [[frameStart, frameEnd]],
    framesRun,
    megapixels: framesRun,
    wallSeconds: 1,
  });
}
