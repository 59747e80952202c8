/** A job at its spending cap, on real servers: it is held, reported, and continued with `npm run cap`. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { UNMEASURED_FLEET } from '../../../producer/estimate/fleet-rates.ts';
import { capsPass } from '../../../producer/jobs/caps.ts';
import { Collector } from '../../../producer/jobs/collect.ts';
import { dispatchPass } from '../../../producer/jobs/dispatch.ts';
import { StatusPublisher } from '../../../producer/jobs/status.ts';
import { isAtItsCap } from '../../../scaler/costs/spending-cap.ts';
import { readBacklog } from '../../../scaler/observe/backlog.ts';
import { FLEET_RATES_BLOB, capBlob, statusBlob } from '../../../shared/contract/blob-names.ts';
import { batchMessage, decodeMessage, encodeMessage } from '../../../shared/contract/messages.ts';
import { spendingMaxOf } from '../../../shared/redis/ledger-job.ts';
import { buildResult, firstSplit } from '../../support/build-job.ts';
import { type CommandEnd, cap, jobCommand } from '../../support/commands.ts';
import { passUntilRest } from '../../support/control-plane.ts';
import { BUILT_PLANS } from '../../support/dispatch-fixture.ts';
import { type IntakeFixture, startIntakeFixture } from '../../support/intake-fixture.ts';
import { type TestQueue, openTestQueue } from '../../support/test-queue.ts';
import { uploadJob } from '../../support/upload-job.ts';

const JOB = 'job-1';
const FRAMES = 100;
const BATCH = 10;

let fixture: IntakeFixture;
let batches: TestQueue;
let results: TestQueue;

beforeAll(async () => {
  fixture = await startIntakeFixture();
  [batches, results] = await Promise.all([
    openTestQueue(fixture.storage, 'frame-batches'),
    openTestQueue(fixture.storage, 'batch-results'),
  ]);
});
afterAll(() => fixture[Symbol.asyncDispose]());
beforeEach(async () => {
  await fixture.control.redis.flushall();
  await Promise.all([batches.clear(), results.clear()]);
  await fixture.blobs.remove('control', capBlob(JOB));
  await fixture.blobs.remove('results', statusBlob(JOB));
});

const services = () => ({ ...fixture.control, blobs: fixture.blobs });
const runCap = (...args: string[]): Promise<CommandEnd> => {
  const { media, system } = fixture.storage.connection;
  const environment = { FRAMEFLEET_MEDIA_STORAGE: media, FRAMEFLEET_SYSTEM_STORAGE: system };
  return cap(args, { localFolder: '/nowhere', environment }).end;
};
/** As `npm run status` shows it. */
async function shownCost(): Promise<string | undefined> {
  const { media, system } = fixture.storage.connection;
  const environment = { FRAMEFLEET_MEDIA_STORAGE: media, FRAMEFLEET_SYSTEM_STORAGE: system };
  const { stdout } = await jobCommand(['status', JOB], { localFolder: '/nowhere', environment }).end;
  return /^ +Cost +(.*)$/m.exec(stdout)?.[1];
}
const dispatch = () =>
  dispatchPass({ ...services(), batches: batches.queue, plans: BUILT_PLANS, resendMs: 300_000 });
const applyCaps = () => capsPass({ ...services(), scanMs: 1 });
const publish = () => new StatusPublisher({ ...services(), onEnded: () => Promise.resolve() }).pass();
const job = async () => {
  const found = await fixture.control.ledger.job(JOB);
  if (found === undefined) throw new Error('expected the ledger to know the job');
  return found;
};

async function openJob(): Promise<void> {
  await uploadJob(fixture.blobs, JOB, () => ({ spendingMax: 1 }));
  await fixture.scan();
  const { ledger } = fixture.control;
  await ledger.move(JOB, 'running');
  await ledger.planSplit(firstSplit(JOB), {
    batchSize: BATCH,
    framesExpected: FRAMES,
    megapixelsPerFrame: 1,
  });
  await ledger.finishSplit(firstSplit(JOB), FRAMES);
}

/** Charges the job like the scaler does. */
async function spend(amount: number): Promise<void> {
  const { spending } = fixture.control;
  const { chargedUpToMs } = await spending.read();
  const byJob = new Map([[JOB, { machineMs: 1_000, micros: amount * 1e6 }]]);
  await spending.charge({ sinceMs: chargedUpToMs, upToMs: (chargedUpToMs ?? 0) + 1_000, byJob });
}

/** Processes at most `max` batches like a worker and sends their results. Returns the number of batches. */
async function work(max: number): Promise<number> {
  let count = 0;
  for (; count < max; count += 1) {
    const message = await batches.queue.receive({ visibilityTimeoutSeconds: 60 });
    if (message === undefined) break;
    const decoded = decodeMessage(message.text, batchMessage);
    if (decoded.kind !== 'valid') throw new Error(`expected a valid batch, received a ${decoded.kind} one`);
    const { batchIndex, frameStart, frameEnd, epoch } = decoded.message;
    const result = buildResult(JOB, { batchIndex, epoch, scored: [[frameStart, frameEnd]] });
    await results.queue.send(encodeMessage(result));
    await batches.queue.remove(message);
  }
  const collector = new Collector({ ...fixture.control, results: results.queue });
  await passUntilRest(() => collector.pass());
  return count;
}

test('a job at its cap sends nothing more, finishes its batches in flight, and continues when the cap is raised', async () => {
  await openJob();
  await dispatch();
  expect(await batches.queue.countApprox()).toBe(4);
  await work(2);
  await spend(1.02);
  await dispatch();
  expect(await batches.queue.countApprox()).toBe(2);
  await publish();
  const held = await fixture.statusOf(JOB);
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
  expect(await fixture.statusOf(JOB)).toMatchObject({ frames: { scored: 40 }, heldAtCap: { spent: 1.02 } });
  const { backlog } = await readBacklog(fixture.control.ledger, fixture.control.spending);
  expect(backlog).toMatchObject([{ framesRemaining: 60, framesInFlight: 0, spent: 1.02, spendingMax: 1 }]);
  expect(backlog.every(isAtItsCap)).toBe(true);

  // A new cap below the amount spent changes nothing.
  expect(await runCap(JOB, '0.5')).toMatchObject({ status: 0 });
  await applyCaps();
  await dispatch();
  expect(await batches.queue.countApprox()).toBe(0);

  expect(await runCap(JOB, '5')).toMatchObject({
    status: 0,
    stderr: '',
    stdout: `The job ${JOB} may cost 5 in all. The producer applies this within half a minute.\n`,
  });
  await applyCaps();
  await publish();
  expect(await fixture.statusOf(JOB)).toMatchObject({ state: 'running', heldAtCap: null });
  expect(await shownCost()).toBe('1.02 so far, of at most 5');
  expect((await readBacklog(fixture.control.ledger, fixture.control.spending)).backlog).toMatchObject([
    { spendingMax: 5 },
  ]);
  for (let round = 0; round < 4; round += 1) {
    await dispatch();
    await work(10);
  }
  expect(await job()).toMatchObject({ framesScored: FRAMES, framesFailed: 0, batchesOutstanding: 0 });
  const result = { blobName: `${JOB}/harbour.mp4`, sizeBytes: 1 };
  await fixture.control.ledger.move(JOB, 'completed', { result });
  await publish();
  expect(await fixture.statusOf(JOB)).toMatchObject({ state: 'completed', heldAtCap: null });

  const ended = await runCap(JOB, '9');
  expect(ended).toMatchObject({ status: 1, stdout: '' });
  expect(ended.stderr).toContain('has ended (completed)');
});

test('a fleet without prices says that a cap has no effect', async () => {
  await openJob();
  await publish();
  const rates = { ...UNMEASURED_FLEET, pools: [{ name: 'local', pricePerHour: null }] };
  await fixture.blobs.put('control', FLEET_RATES_BLOB, JSON.stringify(rates));
  expect((await runCap(JOB, '5')).stderr).toBe(
    'The fleet has no prices (FRAMEFLEET_PRICES), so a cap has no effect.\n',
  );
  expect(await shownCost()).toBe('not known: the fleet has no prices, and the cap of 5 has no effect');
  await fixture.blobs.remove('control', FLEET_RATES_BLOB);
});

test('a stale batch is not sent again while its job is held', async () => {
  await openJob();
  await dispatch();
  await spend(2);
  await batches.clear();
  fixture.control.clock.advance(300_001);
  await dispatch();
  expect(await job()).toMatchObject({ batchesOutstanding: 0, batchesToSendAgain: 4 });
  expect(await batches.queue.countApprox()).toBe(0);
  await fixture.control.ledger.setControl(JOB, { spendingMax: null });
  await dispatch();
  expect(await batches.queue.countApprox()).toBe(4);
});

test('a changed cap survives the loss of Redis', async () => {
  await openJob();
  await runCap(JOB, 'none');
  await fixture.control.redis.flushall();
  await fixture.scan();
  expect(spendingMaxOf(await job())).toBeNull();
});

test('an unreadable cap leaves the cap from the job request in place', async () => {
  await openJob();
  await fixture.blobs.put('control', capBlob(JOB), 'nonsense');
  await applyCaps();
  expect(spendingMaxOf(await job())).toBe(1);
});

test('npm run cap refuses an unknown job with a hint', async () => {
  const refused = await runCap('job-unknown', '5', '--json');
  expect(refused.status).toBe(66);
  expect(JSON.parse(refused.stdout)).toMatchObject({
    error: {
      code: 'JOB_UNKNOWN',
      message: 'Cannot set the cap: there is no job job-unknown.',
      hint: expect.stringContaining('npm run enqueue') as string,
    },
  });
  expect(await fixture.blobs.get('control', capBlob('job-unknown'))).toBeUndefined();
});
