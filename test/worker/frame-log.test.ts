import { expect, test } from 'vitest';

import { frameLines } from '../../worker/delivery/frame-log.ts';
import { buildBatch } from '../support/build-batch.ts';

test('each frame of a delivery has one line, in order, with its stage times to a tenth of a millisecond', () => {
  const stageSeconds = { fetch: 0.12345678, decode: 0, infer: 1, encode: 0, store: 0 };
  const stored = new Map(
    [31, 30].map((frameIndex) => [frameIndex, { frameIndex, megapixels: 1, stageSeconds }]),
  );
  const failure = {
    frameIndex: 32,
    kind: 'missing',
    message: 'not there',
    attempts: 1,
    stageSeconds,
  } as const;
  const delivered = { batch: buildBatch(), dequeueCount: 2, worker: 'vm-0' };
  const lines = frameLines(
    delivered,
    { stored, failed: new Map([[32, failure]]) },
    '2026-11-25T03:00:00.000Z',
  );
  expect(lines.map(({ frame, outcome, kind, attempt }) => [frame, outcome, kind, attempt])).toEqual([
    [30, 'stored', null, 2],
    [31, 'stored', null, 2],
    [32, 'failed', 'missing', 2],
  ]);
  expect(lines[0]?.seconds.fetch).toBe(0.1235);
});
