/**
 * Storage that is away for several leases, in whole or but for its queues: workers neither die nor spin, go on by themselves when
 * it is back, and nobody is charged with what was nobody's fault.
 */
import { expect, test } from 'vitest';

import { type BatchMessage, batchMessage, decodeMessage } from '../../shared/contract/messages.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import { eventually } from '../support/eventually.ts';
import { inForm } from '../support/fault-form.ts';
import { type Faults, NO_FAULTS } from '../support/storage-proxy.ts';
import { FRAMES_IN_FLIGHT, TroubledFleet } from '../support/troubled-fleet.ts';
import { countIn } from '../support/worker-fixture.ts';

const LEASE_SECONDS = 6;
const LEASES_AWAY = inForm({ short: 3, long: 10 });
const AWAY_SECONDS = LEASES_AWAY * LEASE_SECONDS;
const FRAMES = Array.from({ length: 40 }, () => 'steady' as const);
const NOTHING_LOST = { failed: [], poison: [], unscored: 0 };
const ENVIRONMENT = { FRAMEFLEET_LEASE_SECONDS: String(LEASE_SECONDS) };

/**
 * Requests of one worker while nothing is answered, at most:
 * - the heartbeat, once a second, two tries;
 * - renewals until the lease is lost, one a second at the soonest, two tries;
 * - frames until the run is stopped: those in flight, and one each that began after them, six tries;
 * - looks at the queue and for a drain request, two tries each: the rests between them double from half a second to 15 s, with
 *   full jitter, so 6 on the way there and then one every 7.6 s; twice as many have a chance of less than one in a million.
 */
const AWAY_PASSES_MAX = 2 * (6 + Math.ceil(AWAY_SECONDS / 7.6));
const AWAY_REQUESTS_MAX =
  2 * (AWAY_SECONDS + 1) + 2 * LEASE_SECONDS + 2 * FRAMES_IN_FLIGHT * 6 + 4 * AWAY_PASSES_MAX;
/** A line a heartbeat, a renewal, and two a look. */
const AWAY_LINES_MAX = AWAY_SECONDS + 1 + LEASE_SECONDS + 2 * AWAY_PASSES_MAX + 10;

async function isUnderWay(fleet: TroubledFleet, { jobId }: BatchMessage): Promise<void> {
  await eventually('some frames are scored', async () => (await fleet.fixture.countScored(jobId)) > 5);
  expect(await fleet.fixture.countScored(jobId)).toBeLessThan(FRAMES.length);
}

test.concurrent('everything is away for several leases in mid-batch: the worker waits, and goes on by itself', async () => {
  await using fleet = await TroubledFleet.open();
  const { fixture, proxy } = fleet;
  const worker = await fleet.startWorker(ENVIRONMENT);
  const [batch, ...others] = await fleet.sendBatches({ name: 'away', count: 2, frames: FRAMES });
  if (batch === undefined) throw new Error('expected a batch');
  await isUnderWay(fleet, batch);

  proxy.requests.clear();
  const lines = countIn(worker.heard(), '\n');
  proxy.faults = () => ({ kind: 'reset' });
  await systemClock.sleep((AWAY_SECONDS / 2) * 1000);
  proxy.faults = () => ({ kind: 'busy' });
  await systemClock.sleep((AWAY_SECONDS / 2) * 1000);
  const [requests, said] = [proxy.requests.total, countIn(worker.heard(), '\n') - lines];
  proxy.faults = NO_FAULTS;
  process.stdout.write(
    `away: ${requests} requests (${AWAY_REQUESTS_MAX} at most), ${said} lines (${AWAY_LINES_MAX} at most)\n`,
  );
  expect(requests).toBeLessThanOrEqual(AWAY_REQUESTS_MAX);
  expect(said).toBeLessThanOrEqual(AWAY_LINES_MAX);

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
  'blobs are away, and the queues are not, %s: no frame is charged with it, nor the batch',
  async (when) => {
    await using fleet = await TroubledFleet.open();
    const { fixture, proxy } = fleet;
    const worker = await fleet.startWorker(ENVIRONMENT);
    const jobId = `job-${when.replaceAll(' ', '-')}`;
    // Of all indices one that is soon visible again when it is released.
    const batch = { ...(await fixture.storeBatch(jobId, FRAMES)), batchIndex: 5 };
    if (when === 'before a batch') proxy.faults = BLOBS_AWAY;
    await fixture.send(batch);
    if (when === 'in mid-batch') await isUnderWay(fleet, batch);
    proxy.faults = BLOBS_AWAY;
    proxy.requests.clear();
    await systemClock.sleep(AWAY_SECONDS * 1000);
    const receives = proxy.requests.count('receive');
    expect(worker.child.exitCode ?? worker.child.signalCode).toBeNull();
    await fixture.stopWorkers();
    proxy.faults = NO_FAULTS;

    // Every delivery but ours has said what it was, and charged nobody.
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
