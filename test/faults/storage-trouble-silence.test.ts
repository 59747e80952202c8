/**
 * Storage that never answers a call or stops in the middle of an answer, and all faults mixed. An engine waits 25 s for such a
 * call, and the lease is held meanwhile.
 */
import { beforeAll, expect, test } from 'vitest';

import { systemClock } from '../../shared/runtime/clock.ts';
import { inForm, printedSeed } from '../support/fault-form.ts';
import { type Fault, seededFaults } from '../support/storage-proxy.ts';
import { TroubledFleet, requestsMax, undisturbed } from '../support/troubled-fleet.ts';

const WORKERS = inForm({ short: 1, long: 2 });
/** Each such call costs an engine 25 s, and a worker 3 s. */
const SILENT_RATE = inForm({ short: 0.1, long: 0.15 });
const SHAPE = {
  count: inForm({ short: 1, long: 8 }),
  frames: Array.from({ length: inForm({ short: 12, long: 32 }) }, () => 'ordinary' as const),
};
const NOTHING_LOST = { failed: [], poison: [], unscored: 0 };
const MIXED: readonly Fault[] = [
  { kind: 'stall' },
  { kind: 'stall-body' },
  { kind: 'reset' },
  { kind: 'reset-body' },
  { kind: 'lose-answer' },
  { kind: 'busy' },
  { kind: 'busy', retryAfterSeconds: 2 },
  { kind: 'delay', delayMs: 500 },
];

const seed = printedSeed('silent storage');
let good: Awaited<ReturnType<typeof undisturbed>>;

beforeAll(async () => {
  good = await undisturbed(SHAPE);
});

test.concurrent.each<readonly [name: string, kinds: readonly Fault[], rate: number]>([
  ['stall', [{ kind: 'stall' }], SILENT_RATE],
  ['stall-body', [{ kind: 'stall-body' }], SILENT_RATE],
  ['everything', MIXED, inForm({ short: 0.2, long: 0.3 })],
])('no frame is lost when calls meet %s', async (name, kinds, rate) => {
  await using fleet = await TroubledFleet.open();
  const workers = await Promise.all(Array.from({ length: WORKERS }, () => fleet.startWorker()));
  fleet.proxy.requests.clear();
  fleet.proxy.faults = seededFaults({ seed, rate, kinds });
  const startedAtMs = systemClock.monotonicMs();
  const batches = await fleet.sendBatches({ name, ...SHAPE });
  const results = await fleet.finished(batches);

  const wallSeconds = (systemClock.monotonicMs() - startedAtMs) / 1000;
  const { total } = fleet.proxy.requests;
  expect(await fleet.outcome(batches, results)).toEqual({ ...NOTHING_LOST, hashes: [good.hash] });
  for (const { child } of workers) expect(child.exitCode ?? child.signalCode).toBeNull();
  const max = requestsMax({ undisturbed: good.requests, workers: WORKERS, wallSeconds });
  process.stdout.write(
    `${name}: ${total} requests in ${wallSeconds.toFixed(1)} s, undisturbed ${good.requests}, at most ${max}\n`,
  );
  expect(total).toBeLessThanOrEqual(max);
});
