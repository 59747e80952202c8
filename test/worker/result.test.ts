import { expect, test } from 'vitest';

import type { FailedFrame } from '../../shared/contract/failed-frame.ts';
import { BATCH_FRAMES_MAX, FAILURE_REASONS_MAX } from '../../shared/contract/limits.ts';
import { decodeMessage, encodeMessage, failureKind, resultMessage } from '../../shared/contract/messages.ts';
import { indicesOf } from '../../shared/contract/ranges.ts';
import { type ResultContent, resultOf } from '../../worker/delivery/settle-batch.ts';
import type { ScoredFrame } from '../../worker/engine/protocol.ts';
import { buildBatch } from '../support/build-batch.ts';

const BATCH = buildBatch({ batchIndex: 3, frameStart: 30, frameEnd: 40, splitNumber: 2 });

function scored(frameIndex: number): ScoredFrame {
  const stageSeconds = { fetch: 0.125, decode: 0.25, infer: 0.5, encode: 1, store: 2 };
  return { frameIndex, megapixels: 2.5, stageSeconds };
}

function content(fields: Partial<ResultContent> = {}): ResultContent {
  return { batch: BATCH, worker: 'vm-0', scored: [], failed: [], run: [], wallSeconds: 4.5, ...fields };
}

const failed = (frameIndex: number, message: string, kind: FailedFrame['kind'] = 'storage'): FailedFrame => ({
  frameIndex,
  kind,
  message,
  attempts: 1,
});

test('a result has its batch, the scored frames as ranges, and the totals of this delivery', () => {
  const result = resultOf(content({ scored: new Set([33, 30, 31, 32, 39]), run: [scored(33), scored(39)] }));
  expect(result).toEqual({
    version: 2,
    jobId: BATCH.jobId,
    batchIndex: 3,
    epoch: BATCH.epoch,
    splitNumber: 2,
    worker: 'vm-0',
    scored: [
      [30, 34],
      [39, 40],
    ],
    failed: [],
    framesRun: 2,
    megapixels: 5,
    underway: 0,
    wallSeconds: 4.5,
    stageSeconds: { fetch: 0.25, decode: 0.5, infer: 1, encode: 2, store: 4 },
  });
});

test('a delivery that only found stored segments has run no frame', () => {
  const stageSeconds = { fetch: 0, decode: 0, infer: 0, encode: 0, store: 0 };
  expect(resultOf(content({ scored: [30] }))).toMatchObject({ framesRun: 0, megapixels: 0, stageSeconds });
});

test('frames that failed for the same reason share an entry, but frames of another kind do not', () => {
  const given = [
    failed(32, 'no answer'),
    failed(30, 'no answer'),
    failed(31, 'no answer', 'inference'),
    failed(33, 'throttled'),
    failed(31, 'no answer'),
  ];
  expect(resultOf(content({ failed: given })).failed).toEqual([
    { kind: 'storage', message: 'no answer', frames: [[30, 33]] },
    { kind: 'inference', message: 'no answer', frames: [[31, 32]] },
    { kind: 'storage', message: 'throttled', frames: [[33, 34]] },
  ]);
});

test('a result with any number of reasons is a valid message and keeps every frame with its kind', () => {
  const batch = buildBatch({ frameStart: 0, frameEnd: BATCH_FRAMES_MAX });
  const kinds = failureKind.options;
  const given = Array.from({ length: BATCH_FRAMES_MAX }, (_, index) =>
    failed(index, `${index} ${'語'.repeat(116)}`, kinds[index % kinds.length]),
  );
  const message = resultOf(content({ batch, failed: given }));
  expect(decodeMessage(encodeMessage(message), resultMessage)).toEqual({ kind: 'valid', message });
  expect(message.failed.length).toBeLessThanOrEqual(FAILURE_REASONS_MAX);

  const reported = message.failed.flatMap(({ kind, frames }) =>
    [...indicesOf(frames)].map((index) => `${index} ${kind}`),
  );
  expect(reported.toSorted()).toEqual(
    given.map(({ frameIndex, kind }) => `${frameIndex} ${kind}`).toSorted(),
  );
});

test('the first reasons are kept in full, however many follow', () => {
  const given = Array.from({ length: 100 }, (_, index) => failed(index, `reason ${index}`));
  const messages = resultOf(content({ failed: given })).failed.map(({ message }) => message);
  expect(messages.slice(0, 10)).toEqual(given.slice(0, 10).map(({ message }) => message));
  expect(messages).toContain('several reasons: see the frame log');
});
