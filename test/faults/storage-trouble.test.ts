/**
 * A quarter of all storage calls is reset, loses its answer or is refused as busy: every frame is scored, nothing is poisoned, and
 * the number of requests stays bounded. Other files test storage that hangs and storage that is unavailable.
 */
import { beforeAll, expect, test } from 'vitest';

import { systemClock } from '../../shared/runtime/clock.ts';
import { inForm, printedSeed } from '../support/fault-form.ts';
import { type Fault, type Faults, seededFaults } from '../support/storage-proxy.ts';
import { TroubledFleet, requestsMax, undisturbed } from '../support/troubled-fleet.ts';

const RATE = 0.25;
const RETRY_AFTER_SECONDS = 1;
const SHAPE = {
  count: inForm({ short: 2, long: 10 }),
  frames: Array.from({ length: inForm({ short: 12, long: 48 }) }, () => 'ordinary' as const),
  segmentFrames: 2,
};
const NOTHING_LOST = { failed: [], poison: [], unscored: 0 };

const seed = printedSeed('storage trouble');
let good: Awaited<ReturnType<typeof undisturbed>>;

beforeAll(async () => {
  good = await undisturbed(SHAPE);
});

/** Collects the requests for pieces and segments that are repeated earlier than `Retry-After` allows. */
function watched(faults: Faults, early: string[]): Faults {
  const busyAtMs = new Map<string, number>();
  return (request) => {
    const { operation, path, atMs } = request;
    const fault = faults(request);
    const isOfOneCall = /\/pieces\//.test(path) || (operation === 'put' && /\/scored\//.test(path));
    if (!isOfOneCall) return fault;
    const sinceMs = busyAtMs.get(path);
    if (sinceMs !== undefined && atMs - sinceMs < RETRY_AFTER_SECONDS * 1000) early.push(path);
    busyAtMs.delete(path);
    if (fault?.kind === 'busy') busyAtMs.set(path, atMs);
    return fault;
  };
}

test.concurrent.each<readonly [name: string, fault: Fault]>([
  ['reset', { kind: 'reset' }],
  ['reset-body', { kind: 'reset-body' }],
  ['lose-answer', { kind: 'lose-answer' }],
  ['busy', { kind: 'busy' }],
  ['busy-for-a-second', { kind: 'busy', retryAfterSeconds: RETRY_AFTER_SECONDS }],
])('no frame is lost when a quarter of all calls meets %s', async (name, fault) => {
  await using fleet = await TroubledFleet.open();
  const worker = await fleet.startWorker();
  const early: string[] = [];
  const faults = seededFaults({ seed, rate: RATE, kinds: [fault] });
  fleet.proxy.faults = fault.kind === 'busy' && fault.retryAfterSeconds ? watched(faults, early) : faults;
  const startedAtMs = systemClock.monotonicMs();
  const batches = await fleet.sendBatches({ name, ...SHAPE });
  const results = await fleet.finished(batches);

  const wallSeconds = (systemClock.monotonicMs() - startedAtMs) / 1000;
  expect(await fleet.outcome(batches, results)).toEqual({ ...NOTHING_LOST, hashes: [good.hash] });
  expect(worker.child.exitCode ?? worker.child.signalCode).toBeNull();
  expect(early).toEqual([]);
  const max = requestsMax({ undisturbed: good.requests, workers: 1, wallSeconds });
  process.stdout.write(
    `${name}: ${fleet.proxy.requests.total} requests in ${wallSeconds.toFixed(1)} s, undisturbed ${good.requests}, at most ${max}\n`,
  );
  expect(fleet.proxy.requests.total).toBeLessThanOrEqual(max);
});
