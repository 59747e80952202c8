import { expect, test } from 'vitest';

import { frameLines } from '../../worker/delivery/frame-log.ts';
import { buildBatch } from '../support/build-batch.ts';
import { buildFailure } from '../support/build-outcome.ts';

test('each frame of a delivery has one line, in order, with its stage times to a tenth of a millisecond', () => {
  const stageSeconds = { fetch: 0.12345678, decode: 0, infer: 1, encode: 0, store: 0 };
  const scored = [33, 30, 31].map((frameIndex) => ({ frameIndex, megapixels: 1, stageSeconds }));
  const failures = [buildFailure(32, 'engine')];
  const delivered = { batch: buildBatch(), dequeueCount: 2, worker: 'vm-0', failures };
  const lines = frameLines(delivered, { scored }, '2026-11-25T03:00:00.000Z');
  expect(lines.map(({ frame, outcome, kind, delivery }) => [frame, outcome, kind, delivery])).toEqual([
    [30, 'stored', null, 2],
    [31, 'stored', null, 2],
    [32, 'failed', 'engine', 2],
    [33, 'stored', null, 2],
  ]);
  expect(lines[0]?.seconds?.fetch).toBe(0.1235);
  expect(lines[2]).toMatchObject({ message: 'no engine', seconds: null });
});
