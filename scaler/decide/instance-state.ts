/**
 * The state of each instance, from what the cloud, its workers and the drain requests say. PURE.
 *
 *   booting ──▶ idle ⇄ busy ──▶ drain requested ──▶ drained ──▶ removed
 *      │           └──▶ silent   (heartbeats stopped)                    ─┐
 *      ├──▶ overdue  (no heartbeat within the boot time-out)              ├─▶ drain requested, no answer for
 *      ├──▶ unready  (heartbeats, but still booting after that time-out)  │   longer than any lease ──▶ removed
 *      └──▶ failed   (no heartbeat, and the cloud could not create it)   ─┘
 *   not-running (stopped, or without an identity) ──▶ removed
 *
 * An instance with heartbeats is alive, even if the cloud reports another state: Azure also shows an instance as `failed` when only its last update
 * failed, even before its first heartbeat is read. An instance whose heartbeats stopped is silent, not gone, for the same reason.
 */
import type { Instance } from '../fleet/fleet.ts';
import type { Observation, WorkerReport } from '../observe/observation.ts';
import type { Policy } from '../policy.ts';
import type { DrainReason } from './decision.ts';
import type { Memory } from './memory.ts';

/**
 * leaving      the cloud is deleting it
 * not-running  no worker can run on it
 * booting      no heartbeat yet, or the worker reports that it is booting
 * overdue      no heartbeat within the boot time-out
 * failed       no heartbeat, and the cloud reports that it could not create it
 * unready      heartbeats, but booting for longer than the boot time-out
 * idle, busy   as its workers report; busy if any of them is
 * silent       had heartbeats, and has none any more
 */
export type LifeStage =
  | 'leaving'
  | 'not-running'
  | 'booting'
  | 'overdue'
  | 'failed'
  | 'unready'
  | 'idle'
  | 'busy'
  | 'silent';

/**
 * none       no drain request
 * requested  has a drain request, or gets one at this tick
 * by-itself  drains or has drained after an eviction notice or a signal. It takes no more batches
 * drained    every worker on it is drained and quotes the drain request in force
 */
type DrainProgress = 'none' | 'requested' | 'by-itself' | 'drained';

export interface InstanceState {
  readonly instance: Instance;
  readonly life: LifeStage;
  readonly draining: DrainProgress;
  /** Age of the newest heartbeat of any worker on it; null if there was none. */
  readonly heartbeatAgeMs: number | null;
  /** How long the last of its workers has been idle; 0 unless all are. */
  readonly idleMs: number;
  readonly recentStored: number;
  readonly recentFailed: number;
  readonly isTooOld: boolean;
}

export interface DrainCandidate {
  readonly state: InstanceState;
  readonly why: DrainReason;
}

/** What the workers on one instance last reported. */
interface Heartbeats {
  readonly reports: readonly WorkerReport[];
  readonly ageMs: number | null;
  readonly isFresh: boolean;
}

/** The name an instance is remembered by. The cloud may use an instance id again, but only after the first instance is gone. */
export function instanceKey({ instance: { vmId, pool, instanceId } }: InstanceState): string {
  return vmId ?? `${pool}/${instanceId}`;
}

export function hasFailedToBoot({ life }: InstanceState): boolean {
  return life === 'overdue' || life === 'unready';
}

/** Whether these workers, all that have reported from one instance, have drained and quote the drain request with this etag. */
export function haveDrained(reports: readonly WorkerReport[], etag: string | undefined): boolean {
  if (etag === undefined || reports.length === 0) return false;
  return reports.every(({ beat }) => beat.state === 'drained' && beat.drainEtag === etag);
}

export function instanceState(
  instance: Instance,
  observation: Observation,
  policy: Policy,
  memory: Memory,
): InstanceState {
  const { workers, drainRequests, now } = observation;
  const { vmId } = instance;
  const all = vmId === null ? [] : (workers?.get(vmId) ?? []);
  const heartbeats = heartbeatsOf(all, now, policy);
  const { reports } = heartbeats;
  const etag = vmId === null ? undefined : drainRequests?.get(vmId);
  const isRequested =
    drainRequests === null ? vmId !== null && Object.hasOwn(memory.drains, vmId) : etag !== undefined;
  const hasDrained = haveDrained(reports, etag) && haveAllReported(instance, all.length, now, policy);
  const isDraining = reports.some(({ beat }) => beat.state === 'draining' || beat.state === 'drained');
  const life =
    workers === null
      ? lifeWithoutHeartbeats(instance)
      : lifeOf(instance, heartbeats, observation, policy, memory);
  const sinceMs = Math.max(0, ...reports.map(({ beat }) => Date.parse(beat.stateSince)));
  return {
    instance,
    life,
    draining: hasDrained ? 'drained' : isRequested ? 'requested' : isDraining ? 'by-itself' : 'none',
    heartbeatAgeMs: heartbeats.ageMs,
    idleMs: life === 'idle' ? Math.max(0, now.getTime() - sinceMs) : 0,
    recentStored: reports.reduce((sum, { beat }) => sum + beat.recentStored, 0),
    recentFailed: reports.reduce((sum, { beat }) => sum + beat.recentFailed, 0),
    isTooOld: reports.some(({ beat }) => beat.isTooOld),
  };
}

function heartbeatsOf(all: readonly WorkerReport[], now: Date, policy: Policy): Heartbeats {
  const ages = all.map(({ writtenAt }) => now.getTime() - writtenAt.getTime());
  const ageMs = ages.length === 0 ? null : Math.min(...ages);
  const isFresh = ageMs !== null && ageMs <= policy.heartbeatStaleMs;
  // While another worker on the instance reports, one that has been silent for longer than any lease does not count.
  const reports = isFresh ? all.filter((_, index) => (ages[index] ?? 0) <= policy.silentRemoveMs) : all;
  return { reports, ageMs, isFresh };
}

/** A worker that has never reported may still come up until the boot time-out is over. */
function haveAllReported({ createdAt }: Instance, reported: number, now: Date, policy: Policy): boolean {
  return (
    reported >= policy.enginesPerInstance ||
    now.getTime() - createdAt.getTime() > policy.bootTimeoutMs + policy.silentRemoveMs
  );
}

function lifeOf(
  { phase, vmId, createdAt }: Instance,
  { reports, ageMs, isFresh }: Heartbeats,
  { now, atMs }: Observation,
  { bootTimeoutMs }: Policy,
  { unreadySinceMs }: Memory,
): LifeStage {
  if (phase === 'deleting') return 'leaving';
  if (phase === 'stopped' && !isFresh) return 'not-running';
  if (ageMs === null) {
    if (phase === 'failed') return vmId === null ? 'not-running' : 'failed';
    return now.getTime() - createdAt.getTime() > bootTimeoutMs ? 'overdue' : 'booting';
  }
  if (!isFresh) return 'silent';
  const states = new Set(reports.map(({ beat }) => beat.state));
  if (states.has('busy') || states.has('draining')) return 'busy';
  if (!states.has('booting')) return 'idle';
  const sinceMs = vmId !== null && Object.hasOwn(unreadySinceMs, vmId) ? unreadySinceMs[vmId] : undefined;
  return atMs - (sinceMs ?? atMs) > bootTimeoutMs ? 'unready' : 'booting';
}

/** Heartbeats cannot be read: every instance that may be at work counts as busy. */
function lifeWithoutHeartbeats({ phase }: Instance): LifeStage {
  if (phase === 'deleting') return 'leaving';
  if (phase === 'stopped') return 'not-running';
  return phase === 'creating' ? 'booting' : 'busy';
}
