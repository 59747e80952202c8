/**
 * Storage that is unavailable for several leases, completely or except for its queues: workers do not exit or spin, they continue
 * when it returns, and neither frames nor batches are charged with the outage.
 */
import { expect, test } from 'vitest';

import { type BatchMessage, batchMessage, decodeMessage } from '../../shared/contract/messages.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import { eventually } from '../support/eventually.ts';
import { inForm } from '../support/fault-form.ts';
import { type Faults, NO_FAULTS, slowSegments } from '../support/storage-proxy.ts';
import { TroubledFleet } from '../support/troubled-fleet.ts';
import { countIn } from '../support/worker-fixture.ts';

const LEASE_SECONDS = 6;
const LEASES_AWAY = inForm({ short: 3, long: 10 });
const AWAY_SECONDS = LEASES_AWAY * LEASE_SECONDS;
const FRAMES = Array.from({ length: 40 }, () => 'ordinary' as const);
/** A batch has ten segments, so it takes about ten seconds. */
const SLOW = slowSegments(1_000);
const NOTHING_LOST = { failed: [], poison: [], unscored: 0 };
const ENVIRONMENT = { FRAMEFLEET_LEASE_SECONDS: String(LEASE_SECONDS) };

/**
 * The most requests of one worker during the outage:
 * - the heartbeat, once a second, two attempts;
 * - renewals until the lease is lost, at most one a second, two attempts;
 * - the engine until its run ends: a preview, a segment and another piece, six attempts each;
 * - two reports of progress, the result and the frame log, six attempts each;
 * - receives and checks for a drain request, two attempts each. The rests between them double from half a second to 15 s, with
 *   full jitter: 6 on the way there, then one every 7.6 s. The probability of twice as many is less than one in a million.
 */
const AWAY_PASSES_MAX = 2 * (6 + Math.ceil(AWAY_SECONDS / 7.6));
const AWAY_REQUESTS_MAX = 2 * (AWAY_SECONDS + 1) + 2 * LEASE_SECONDS + 7 * 6 + 4 * AWAY_PASSES_MAX;
/** One log line per heartbeat and renewal, and two per pass of the loop. */
const AWAY_LINES_MAX = AWAY_SECONDS + 1 + LEASE_SECONDS + 2 * AWAY_PASSES_MAX + 10;

async function isUnderWay(fleet: TroubledFleet, { jobId }: BatchMessage): Promise<void> {
  await eventually('a segment is stored', async () => (await fleet.fixture.countScored(jobId)) > 0);
  expect(await fleet.fixture.countScored(jobId)).toBeLessThan(FRAMES.length);
}

test.concurrent('a worker waits while all storage is unavailable for several leases, and then completes its batches', async () => {
  await using fleet = await TroubledFleet.open();
  const { fixture, proxy } = fleet;
  const worker = await fleet.startWorker(ENVIRONMENT);
  proxy.faults = SLOW;
  const [batch, ...others] = await fleet.sendBatches({ name: 'away', count: 2, frames: FRAMES });
  if (batch === undefined) throw new Error('expected a batch');
  await isUnderWay(fleet, batch);

  proxy.requests.clear();
  const lines = countIn(worker.heard(), '\n');
  proxy.faults = () => ({ kind: 'reset' });
  await systemClock.sleep((AWAY_SECONDS / 2) * 1000);
  proxy.faults = () => ({ kind: 'busy' });
  await systemClock.sleep((AWAY_SECONDS / 2) * 1000);
  const [requests, logLines] = [proxy.requests.total, countIn(worker.heard(), '\n') - lines];
  proxy.faults = NO_FAULTS;
  process.stdout.write(
    `away: ${requests} requests (${AWAY_REQUESTS_MAX} at most), ${logLines} lines (${AWAY_LINES_MAX} at most)\n`,
  );
  expect(requests).toBeLessThanOrEqual(AWAY_REQUESTS_MAX);
  expect(logLines).toBeLessThanOrEqual(AWAY_LINES_MAX);

  const results = await fleet.finished([batch, ...others]);
  const { hashes, ...outcome } = await fleet.outcome([batch, ...others], results);
  expect(outcome).toEqual(NOTHING_LOST);
  expect(hashes).toHaveLength(1);
  expect(worker.child.exitCode ?? worker.child.signalCode).toBeNull();
  expect(countIn(worker.heard(), 'engine started')).toBe(1);
  await fixture.stopWorkers();
  expect((await worker.end).status).toBe(0);
});

const BLOBS_AWAY: Faults = ({ service }) => (service === 'blob' ? { kind: 'reset' } : undefined);

test.concurrent.each(['before a batch', 'in mid-batch'] as const)(
  'no frame and no batch is charged when only blobs are unavailable, %s',
  async (when) => {
    await using fleet = await TroubledFleet.open();
    const { fixture, proxy } = fleet;
    const worker = await fleet.startWorker(ENVIRONMENT);
    const jobId = `job-${when.replaceAll(' ', '-')}`;
    // The release delay depends on the index; 5 gives a short one.
    const batch = { ...(await fixture.storeBatch(jobId, FRAMES)), batchIndex: 5 };
    proxy.faults = when === 'before a batch' ? BLOBS_AWAY : SLOW;
    await fixture.send(batch);
    if (when === 'in mid-batch') await isUnderWay(fleet, batch);
    proxy.faults = BLOBS_AWAY;
    proxy.requests.clear();
    await systemClock.sleep(AWAY_SECONDS * 1000);
    const receives = proxy.requests.count('receive');
    expect(worker.child.exitCode ?? worker.child.signalCode).toBeNull();
    await fixture.stopWorkers();
    proxy.faults = NO_FAULTS;

    // Every delivery but this one ended in a release, and none was charged.
    const message = await eventually('the batch is visible', () =>
      fixture.batches.receive({ visibilityTimeoutSeconds: 60 }),
    );
    const decoded = decodeMessage(message.text, batchMessage);
    if (decoded.kind !== 'valid') throw new Error('expected a batch');
    const { history } = decoded.message;
    process.stdout.write(`${when}: ${receives} receives, ${message.dequeueCount - 1} deliveries\n`);
    expect(history).toMatchObject({ barren: 0, failures: [], deliveries: message.dequeueCount - 1 });
    expect(history.releases).toBe(message.dequeueCount - 1);

    await fixture.batches.update({ ...message }, { visibilityTimeoutSeconds: 0 });
    await fleet.startWorker(ENVIRONMENT);
    const results = await fleet.finished([batch]);
    const { hashes, ...outcome } = await fleet.outcome([batch], results);
    expect(outcome).toEqual(NOTHING_LOST);
    expect(hashes).toHaveLength(1);
  },
);
