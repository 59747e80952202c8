/**
 * Reads everything that one tick needs, in parallel, each reading with its own time-out. A reading that fails is null, never a guess:
 * `decide` does not shrink the fleet on it.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import type { WorkQueue } from '../../shared/azure/work-queue.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import type { Spending } from '../../shared/redis/spending.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { within } from '../../shared/runtime/within.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { OverrideStore } from '../override/store.ts';
import { readBacklog } from './backlog.ts';
import type { BootTimes } from './boot-times.ts';
import { readDrainRequests } from './drain-requests.ts';
import type { Observation } from './observation.ts';
import type { StorageClock } from './storage-clock.ts';
import { readWorkers } from './workers.ts';

/** Without a bound, a Redis call waits forever for a lost connection. A long listing needs some time. */
const READING_MS_MAX = 20_000;

export interface ObserveServices {
  readonly batches: Pick<WorkQueue, 'countApprox'>;
  readonly blobs: BlobStore;
  readonly ledger: Ledger;
  readonly spending: Spending;
  readonly bootTimes: BootTimes;
  readonly storageClock: StorageClock;
  readonly overrides: OverrideStore;
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Time-out of each reading; shorter in tests. */
  readonly readingMsMax?: number;
}

export async function observe(services: ObserveServices): Promise<Observation> {
  const { batches, blobs, ledger, spending, bootTimes, storageClock, overrides, fleet, clock } = services;
  const { log, signal, readingMsMax = READING_MS_MAX } = services;
  const readOrNull = async <T>(what: string, read: (bound: AbortSignal) => Promise<T>): Promise<T | null> => {
    try {
      return await within(read, { clock, boundMs: readingMsMax, signal });
    } catch (error) {
      if (!signal.aborted) log.warn({ error, what }, 'observation failed');
      return null;
    }
  };

  const [messagesApprox, work, snapshot, workers, drainRequests, override, now] = await Promise.all([
    readOrNull('queue', () => batches.countApprox()),
    readOrNull('ledger', () => readBacklog(ledger, spending)),
    readOrNull('fleet', (bound) => fleet.look(bound)),
    readOrNull('heartbeats', (bound) => readWorkers(blobs, bound)),
    readOrNull('drain requests', (bound) => readDrainRequests(blobs, bound)),
    readOrNull('override', async (bound) => ({ current: await overrides.read(bound) })),
    readOrNull('storage clock', () => storageClock.now()),
  ]);
  // If Redis did not answer before, do not wait for it again.
  const bootMs =
    work &&
    (await readOrNull('boot times', () => bootTimes.update(snapshot?.instances ?? [], workers ?? new Map())));
  return {
    now: now ?? clock.now(),
    atMs: storageClock.steadyMs(),
    messagesApprox,
    backlog: work?.backlog ?? null,
    fleet: snapshot,
    workers,
    drainRequests,
    ratesByModel: work?.ratesByModel ?? new Map(),
    bootMs,
    override: override === null ? 'unknown' : override.current,
  };
}
