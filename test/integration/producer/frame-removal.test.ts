/** Frames of ended jobs, of all their splits, are removed after their retention time: completely, not earlier, and not from a reopened job. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import {
  type FrameRemovalServices,
  scheduleFrameRemoval,
  removeExpiredFrames,
} from '../../../producer/jobs/frame-removal.ts';
import { pieceBlob, resultBlob, timelineBlob } from '../../../shared/contract/blob-names.ts';
import { buildDefinition, firstSplit } from '../../support/build-job.ts';
import {
  type ControlServers,
  passUntilRest,
  startControlPlane,
  startControlServers,
} from '../../support/control-plane.ts';
import { putFailedFrame, putSegment } from '../../support/upload-job.ts';

const KEEP_MS = 10_000;
const KEEP_FAILED_MS = 70_000;

let servers: ControlServers;
let storage: ControlServers['storage'];
let control: ControlServers['control'];
let services: FrameRemovalServices;

beforeAll(async () => {
  servers = await startControlServers();
  ({ storage, control } = servers);
  const { blobs } = storage;
  services = { ...control, blobs, keepFramesMs: KEEP_MS, keepFailedFramesMs: KEEP_FAILED_MS };
});
afterAll(() => servers[Symbol.asyncDispose]());
beforeEach(async () => {
  await control.redis.flushall();
});

/** Stores `count` pieces and segments, one failure record and the timeline of a second split. */
async function putFrames(jobId: string, count: number): Promise<void> {
  const { blobs } = storage;
  const indices = Array.from({ length: count }, (_, index) => index);
  const pieceOf = (index: number): string => pieceBlob(firstSplit(jobId), index, { container: 'nut' });
  await Promise.all(indices.map((index) => blobs.put('pieces', pieceOf(index), 'a piece')));
  await blobs.put('pieces', timelineBlob({ jobId, splitNumber: 2 }), '{}');
  await Promise.all(indices.map((index) => putSegment(blobs, jobId, [index, index + 1])));
  await putFailedFrame(blobs, jobId, count);
  await blobs.put('results', resultBlob(jobId, 'harbour.mp4'), 'video');
}

async function left(jobId: string): Promise<number> {
  let count = 0;
  for (const container of ['pieces', 'scored'] as const) {
    for await (const _ of storage.blobs.list(container, { prefix: `${jobId}/` })) count += 1;
  }
  return count;
}

test('the frames of a job without failures are removed after the retention time, and the result stays', async () => {
  await putFrames('job-1', 3);
  await putFrames('job-12', 3);
  await scheduleFrameRemoval(services, { jobId: 'job-1', state: 'completed', framesFailed: 0 });
  control.clock.advance(KEEP_MS - 1);
  await passUntilRest(() => removeExpiredFrames(services));
  expect(await left('job-1')).toBe(8);
  control.clock.advance(1);
  await passUntilRest(() => removeExpiredFrames(services));
  expect([await left('job-1'), await left('job-12')]).toEqual([0, 8]);
  expect(String(await storage.blobs.get('results', 'job-1/harbour.mp4'))).toBe('video');
  expect(await control.retention.dueAtMs('job-1')).toBeUndefined();
});

test.each([
  { state: 'completed', framesFailed: 1 },
  { state: 'failed', framesFailed: 0 },
] as const)('the frames of a $state job with $framesFailed failed frames are kept longer', async (end) => {
  const jobId = `job-${end.state}-long`;
  await putFrames(jobId, 1);
  await scheduleFrameRemoval(services, { jobId, ...end });
  control.clock.advance(KEEP_FAILED_MS - 1);
  await passUntilRest(() => removeExpiredFrames(services));
  expect(await left(jobId)).toBe(4);
  control.clock.advance(1);
  await passUntilRest(() => removeExpiredFrames(services));
  expect(await left(jobId)).toBe(0);
});

test('many frames are removed in slices, and another producer removes the rest', async () => {
  await putFrames('job-many', 700);
  await scheduleFrameRemoval(services, { jobId: 'job-many', state: 'completed', framesFailed: 0 });
  control.clock.advance(KEEP_MS);
  expect(await removeExpiredFrames(services)).toBe(0);
  expect(await left('job-many')).toBe(1402 - 512);
  await using next = await startControlPlane(servers.server);
  next.clock.advance(KEEP_MS * 100);
  await passUntilRest(() => removeExpiredFrames({ ...services, ...next }));
  expect(await left('job-many')).toBe(0);
});

test('a reopened job keeps its frames until it ends again', async () => {
  await putFrames('job-again', 3);
  await scheduleFrameRemoval(services, { jobId: 'job-again', state: 'completed', framesFailed: 0 });
  await control.ledger.open(buildDefinition('job-again'), 1);
  control.clock.advance(KEEP_MS);
  await passUntilRest(() => removeExpiredFrames(services));
  expect(await left('job-again')).toBe(8);
  expect(await control.retention.dueAtMs('job-again')).toBeUndefined();
});

test('a held job keeps its frames while it is held and does not block the removal of others', async () => {
  for (const jobId of ['job-held', 'job-other']) {
    await putFrames(jobId, 1);
    await scheduleFrameRemoval(services, { jobId, state: 'completed', framesFailed: 0 });
  }
  control.clock.advance(KEEP_MS);
  const hold = await control.retention.hold('job-held');
  expect(await control.retention.hold('job-held')).toBeUndefined();
  await passUntilRest(() => removeExpiredFrames(services));
  expect([await left('job-held'), await left('job-other')]).toEqual([4, 0]);
  await hold?.[Symbol.asyncDispose]();
  await passUntilRest(() => removeExpiredFrames(services));
  expect(await left('job-held')).toBe(0);
});

test('a due time that changes during a removal is kept', async () => {
  const { retention } = control;
  await retention.schedule({ jobId: 'job-1', dueAtMs: 5 });
  const [due] = await retention.listDue(6, 1);
  await retention.schedule({ jobId: 'job-1', dueAtMs: 9 });
  await retention.removeDue(due ?? { jobId: 'none', dueAtMs: 0 });
  expect(await retention.dueAtMs('job-1')).toBe(9);
});
