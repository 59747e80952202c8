/**
 * Everything the scaler knows at one tick, gathered at once. A number that could not be had is null, never a guess: `decide`
 * holds on it.
 */
import type { BlobStore } from '../shared/azure/blob-store.ts';
import type { WorkQueue } from '../shared/azure/work-queue.ts';
import { type Heartbeat, heartbeatFrom } from '../shared/contract/heartbeat.ts';
import { MEGAPIXELS_PER_SECOND_ASSUMED } from '../shared/contract/limits.ts';
import type { Ledger } from '../shared/control/ledger.ts';
import type { Clock } from '../shared/runtime/clock.ts';
import type { Log } from '../shared/runtime/log.ts';
import type { Fleet, Instance } from './fleet/fleet.ts';

export interface Backlog {
  /** Frames of open jobs that are neither scored nor given up, on the queue or not. */
  readonly framesRemaining: number;
  readonly batchesRemaining: number;
  /** What one engine would need for all of it, at the rate measured for each model. */
  readonly engineSecondsRemaining: number;
  readonly jobsOpen: number;
}

export interface Observation {
  readonly atMs: number;
  /** Messages on the queue, visible and in flight: never too low, sometimes too high. */
  readonly messagesApprox: number | null;
  readonly backlog: Backlog | null;
  readonly instances: readonly Instance[] | null;
  /** What each instance last said; of several workers on one, the busy one counts. */
  readonly heartbeats: ReadonlyMap<string, Heartbeat> | null;
}

export interface ObserveParts {
  readonly batches: WorkQueue;
  readonly blobs: BlobStore;
  readonly ledger: Ledger;
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly log: Log;
}

export async function observe(parts: ObserveParts): Promise<Observation> {
  const { batches, blobs, ledger, fleet, clock, log } = parts;
  const known = async <T>(what: string, ask: () => Promise<T>): Promise<T | null> => {
    try {
      return await ask();
    } catch (error) {
      log.warn({ error, what }, 'could not be observed');
      return null;
    }
  };
  const [messagesApprox, backlog, instances, heartbeats] = await Promise.all([
    known('queue', () => batches.countApprox()),
    known('ledger', () => readBacklog(ledger)),
    known('fleet', () => fleet.list()),
    known('heartbeats', () => readHeartbeats(blobs)),
  ]);
  return {
    atMs: clock.monotonicMs(),
    messagesApprox,
    backlog,
    instances,
    heartbeats: heartbeats ?? new Map(),
  };
}

async function readBacklog(ledger: Ledger): Promise<Backlog> {
  const jobs = await ledger.openJobs();
  const open = jobs.filter(({ state }) => state === 'waiting' || state === 'running');
  const sum = { framesRemaining: 0, batchesRemaining: 0, engineSecondsRemaining: 0, jobsOpen: open.length };
  for (const {
    framesExpected,
    framesScored,
    framesFailed,
    batchSize,
    megapixelsPerFrame,
    definition,
  } of open) {
    const frames = Math.max(0, framesExpected - framesScored - framesFailed);
    const rate = (await ledger.rate(definition.model.name)) ?? MEGAPIXELS_PER_SECOND_ASSUMED;
    sum.framesRemaining += frames;
    sum.batchesRemaining += Math.ceil(frames / (batchSize ?? 1));
    sum.engineSecondsRemaining += (frames * megapixelsPerFrame) / rate;
  }
  return sum;
}

async function readHeartbeats(blobs: BlobStore): Promise<Map<string, Heartbeat>> {
  const byInstance = new Map<string, Heartbeat>();
  for await (const { metadata } of blobs.list('workers', { withMetadata: true })) {
    const beat = heartbeatFrom(metadata);
    if (beat === undefined || byInstance.get(beat.vmId)?.state === 'busy') continue;
    byInstance.set(beat.vmId, beat);
  }
  return byInstance;
}
