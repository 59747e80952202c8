/** A job at its cap, on real servers: held, explained, and let go on by `npm run cap`. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { capsPass } from '../../../producer/jobs/caps.ts';
import { Collector } from '../../../producer/jobs/collect.ts';
import { dispatchPass } from '../../../producer/jobs/dispatch.ts';
import { StatusPublisher } from '../../../producer/jobs/status.ts';
import { isAtItsCap } from '../../../scaler/costs/spending-cap.ts';
import { readBacklog } from '../../../scaler/observe/backlog.ts';
import { capBlob, statusBlob } from '../../../shared/contract/blob-names.ts';
import { batchMessage, decodeMessage, encodeMessage } from '../../../shared/contract/messages.ts';
import { spendingMaxOf } from '../../../shared/redis/ledger-job.ts';
import { buildResult } from '../../support/build-job.ts';
import { type CommandEnd, cap } from '../../support/commands.ts';
import { passUntilRest } from '../../support/control-plane.ts';
import { type IntakeBench, startIntakeBench } from '../../support/intake-bench.ts';
import { type TestQueue, openTestQueue } from '../../support/test-queue.ts';
import { uploadJob } from '../../support/upload-job.ts';

const JOB = 'job-1';
const FRAMES = 100;
const BATCH = 10;

let bench: IntakeBench;
let batches: TestQueue;
let results: TestQueue;

beforeAll(async () => {
  bench = await startIntakeBench();
  [batches, results] = await Promise.all([
    openTestQueue(bench.storage, 'frame-batches'),
    openTestQueue(bench.storage, 'batch-results'),
  ]);
});
afterAll(() => bench[Symbol.asyncDispose]());
beforeEach(async () => {
  await bench.control.redis.flushall();
  await Promise.all([batches.clear(), results.clear()]);
  await bench.blobs.remove('control', capBlob(JOB));
  await bench.blobs.remove('results', statusBlob(JOB));
});

const parts = () => ({ ...bench.control, blobs: bench.blobs });
const runCap = (...args: string[]): Promise<CommandEnd> => {
  const { media, system } = bench.storage.connection;
  const environment = { FRAMEFLEET_MEDIA_STORAGE: media, FRAMEFLEET_SYSTEM_STORAGE: system };
  return cap(args, { localFolder: '/nowhere', environment }).end;
};
const dispatch = () => dispatchPass({ ...parts(), batches: batches.queue, resendMs: 300_000 });
const takeUpCaps = () => capsPass({ ...parts(), scanMs: 1 });
const publish = () => new StatusPublisher({ ...parts(), onEnded: () => Promise.resolve() }).pass();
const job = async () => {
  const found = await bench.control.ledger.job(JOB);
  if (found === undefined) throw new Error('expected the ledger to know the job');
  return found;
};

async function openJob(): Promise<void> {
  await uploadJob(bench.blobs, JOB, () => ({ spendingMax: 1 }));
  await bench.scan();
  const { ledger } = bench.control;
  await ledger.move(JOB, 'running');
  await ledger.planSplit(JOB, { batchSize: BATCH, framesExpected: FRAMES, megapixelsPerFrame: 1 });
  await ledger.finishSplit(JOB, FRAMES);
}

/** As the scaler charges it. */
async function spend(amount: number): Promise<void> {
  const { spending } = bench.control;
  const { chargedUpToMs } = await spending.read();
  const byJob = new Map([[JOB, { machineMs: 1_000, micros: amount * 1e6 }]]);
  await spending.charge({ sinceMs: chargedUpToMs, upToMs: (chargedUpToMs ?? 0) + 1_000, byJob });
}

/** As workers do: takes what is on the queue, at most so many, and sends the results. Returns how many. */
async function work(max: number): Promise<number> {
  let count = 0;
  for (; count < max; count += 1) {
    const message = await batches.queue.receive({ visibilityTimeoutSeconds: 60 });
    if (message === undefined) break;
    const decoded = decodeMessage(message.text, batchMessage);
    if (decoded.kind !== 'valid') throw new Error(`expected a batch, received what is ${decoded.kind}`);
    const { batchIndex, frameStart, frameEnd, epoch } = decoded.message;
    const result = buildResult(JOB, { batchIndex, epoch, scored: [[frameStart, frameEnd]] });
    await results.queue.send(encodeMessage(result));
    await batches.queue.remove(message);
  }
  const collector = new Collector({ ...bench.control, results: results.queue });
  await passUntilRest(() => collector.pass());
  return count;
}

test('a job at its cap sends nothing more, finishes what is in flight, and goes on to its end when the cap is raised', async () => {
  await openJob();
  await dispatch();
  expect(await batches.queue.countApprox()).toBe(4);
  await work(2);
  await spend(1.02);
  await dispatch();
  expect(await batches.queue.countApprox()).toBe(2);
  await publish();
  const held = await bench.statusOf(JOB);
  expect(held).toMatchObject({
    state: 'running',
    frames: { scored: 20 },
    heldAtCap: { spent: 1.02, spendingMax: 1 },
  });
  expect(held?.heldAtCap?.message).toContain(`npm run cap -- ${JOB} AMOUNT`);

  expect(await work(10)).toBe(2);
  await dispatch();
  expect(await batches.queue.countApprox()).toBe(0);
  await publish();
  expect(await bench.statusOf(JOB)).toMatchObject({ frames: { scored: 40 }, heldAtCap: { spent: 1.02 } });
  const { backlog } = await readBacklog(bench.control);
  expect(backlog).toMatchObject([{ framesRemaining: 60, framesInFlight: 0, spent: 1.02, spendingMax: 1 }]);
  expect(backlog.every(isAtItsCap)).toBe(true);

  // Another cap below what is spent changes nothing.
  expect(await runCap(JOB, '0.5')).toMatchObject({ status: 0 });
  await takeUpCaps();
  await dispatch();
  expect(await batches.queue.countApprox()).toBe(0);

  expect(await runCap(JOB, '5')).toMatchObject({
    status: 0,
    stderr: '',
    stdout: `The job ${JOB} may cost 5 in all. The producer applies this within half a minute.\n`,
  });
  await takeUpCaps();
  await publish();
  expect(await bench.statusOf(JOB)).toMatchObject({ state: 'running', heldAtCap: null });
  expect((await readBacklog(bench.control)).backlog).toMatchObject([{ spendingMax: 5 }]);
  for (let round = 0; round < 4; round += 1) {
    await dispatch();
    await work(10);
  }
  expect(await job()).toMatchObject({ framesScored: FRAMES, framesFailed: 0, batchesOutstanding: 0 });
  const result = { blobName: `${JOB}/harbour.mp4`, sizeBytes: 1 };
  await bench.control.ledger.move(JOB, 'completed', { result });
  await publish();
  expect(await bench.statusOf(JOB)).toMatchObject({ state: 'completed', heldAtCap: null });

  const ended = await runCap(JOB, '9');
  expect(ended).toMatchObject({ status: 1, stdout: '' });
  expect(ended.stderr).toContain('has ended (completed)');
});

test('a batch that got no further is not sent again while its job is held', async () => {
  await openJob();
  await dispatch();
  await spend(2);
  await batches.clear();
  bench.control.clock.advance(300_001);
  await dispatch();
  expect(await job()).toMatchObject({ batchesOutstanding: 0, batchesToSendAgain: 4 });
  expect(await batches.queue.countApprox()).toBe(0);
  await bench.control.ledger.setCap(JOB, null);
  await dispatch();
  expect(await batches.queue.countApprox()).toBe(4);
});

test('a lost Redis does not forget a cap that was raised', async () => {
  await openJob();
  await runCap(JOB, 'none');
  await bench.control.redis.flushall();
  await bench.scan();
  expect(spendingMaxOf(await job())).toBeNull();
});

test('a cap that cannot be read leaves the one that the job was enqueued with', async () => {
  await openJob();
  await bench.blobs.put('control', capBlob(JOB), 'nonsense');
  await takeUpCaps();
  expect(spendingMaxOf(await job())).toBe(1);
});

test('the cap of a job that there is not is refused, with what to do', async () => {
  const refused = await runCap('job-unknown', '5', '--json');
  expect(refused.status).toBe(66);
  expect(JSON.parse(refused.stdout)).toMatchObject({
    error: {
      code: 'JOB_UNKNOWN',
      message: 'Cannot set the cap: there is no job job-unknown.',
      hint: expect.stringContaining('npm run enqueue') as string,
    },
  });
  expect(await bench.blobs.get('control', capBlob('job-unknown'))).toBeUndefined();
});
