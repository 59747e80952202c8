/**
 * Everything the scaler knows at one tick, gathered at once, each part within a bound of its own. What could not be had is null,
 * never a guess: `decide` holds on it.
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
import type { Observation } from './observation.ts';
import type { StorageClock } from './storage-clock.ts';
import { readDrainRequests, readWorkers } from './workers.ts';

/** A call to Redis waits for a lost connection for ever, and a listing may be long. */
const PART_MS = 20_000;

export interface ObserveParts {
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
  /** Each part is given up after so long; less in tests. */
  readonly partMs?: number;
}

export async function observe(parts: ObserveParts): Promise<Observation> {
  const { batches, blobs, ledger, spending, bootTimes, storageClock, overrides, fleet, clock } = parts;
  const { log, signal, partMs = PART_MS } = parts;
  const known = async <T>(what: string, ask: (bound: AbortSignal) => Promise<T>): Promise<T | null> => {
    try {
      return await within(ask, { clock, boundMs: partMs, signal });
    } catch (error) {
      if (!signal.aborted) log.warn({ error, what }, 'could not be observed');
      return null;
    }
  };

  const [messagesApprox, work, view, workers, drainRequests, override, now] = await Promise.all([
    known('queue', () => batches.countApprox()),
    known('ledger', () => readBacklog({ ledger, spending })),
    known('fleet', (bound) => fleet.look(bound)),
    known('heartbeats', (bound) => readWorkers(blobs, bound)),
    known('drain requests', (bound) => readDrainRequests(blobs, bound)),
    known('override', async (bound) => ({ stands: await overrides.read(bound) })),
    known('storage clock', () => storageClock.now()),
  ]);
  // Where Redis has not answered once, it need not be waited for twice.
  const bootMs =
    work &&
    (await known('boot times', () =>
      bootTimes.follow({ instances: view?.instances ?? [], workers: workers ?? new Map() }),
    ));
  return {
    now: now ?? clock.now(),
    atMs: storageClock.steadyMs(),
    messagesApprox,
    backlog: work?.backlog ?? null,
    fleet: view,
    workers,
    drainRequests,
    ratesByModel: work?.ratesByModel ?? new Map(),
    bootMs,
    override: override === null ? 'unknown' : override.stands,
  };
}
