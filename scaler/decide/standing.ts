/**
 * Where each instance stands in its life, from what the cloud, its workers and the drain requests say. PURE.
 *
 *   booting ──▶ idle ⇄ busy ──▶ asked to drain ──▶ consented ──▶ removed
 *      │           └──▶ silent ──▶ asked to drain, unheard for longer than any lease ──▶ removed
 *      ├──▶ overdue (never heard)    ──▶ the same way as the silent
 *      └──▶ unready (beats, never up) ─▶ the same way
 *      ├──▶ failed (the cloud could not make it, and it was never heard) ─▶ the same way
 *   not running (stopped; without an identity) ──▶ removed
 *
 * Who is heard is alive, whatever the cloud says of it: a machine whose last update failed is `failed` there and at work all the
 * same, and it may be so before its first heartbeat is read. Who was heard once and says nothing any more is silent, and not gone,
 * for the same reason.
 */
import type { Instance } from '../fleet/fleet.ts';
import type { Observation, WorkerReport } from '../observe/observation.ts';
import type { Policy } from '../policy.ts';
import type { Memory } from './memory.ts';

/**
 * leaving      the cloud is deleting it
 * not-running  nobody is on it
 * booting      expected: not heard yet, or heard to be booting
 * overdue      never heard within the boot time-out
 * failed       never heard, and the cloud says that it could not make it
 * unready      heard, but booting for longer than the boot time-out
 * idle, busy   as its workers say; busy where any of them is
 * silent       was heard, and is not any more
 */
export type Life =
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
 * none       it is not asked to go
 * asked      its drain request stands, or is decided on at this tick
 * by-itself  it drains, or is drained, for another reason: a notice, a signal. It takes nothing more
 * consented  every worker on it is drained, quoting the request that stands
 */
type Draining = 'none' | 'asked' | 'by-itself' | 'consented';

export interface Standing {
  readonly instance: Instance;
  readonly life: Life;
  readonly draining: Draining;
  /** How long ago anybody on it was last heard; null: never. */
  readonly unheardMs: number | null;
  /** Where it is idle: for how long the last of its workers has been. */
  readonly idleMs: number;
  readonly recentStored: number;
  readonly recentFailed: number;
  readonly isTooOld: boolean;
}

export interface StandingInputs {
  readonly now: Date;
  readonly atMs: number;
  readonly policy: Policy;
  readonly memory: Pick<Memory, 'drains' | 'unreadySinceMs'>;
}

/** Null for `workers` or `drainRequests`: nothing is known of them, so everybody is as the cloud says, and booting or at work. */
export function standingOf(
  instance: Instance,
  { workers, drainRequests }: Pick<Observation, 'workers' | 'drainRequests'>,
  inputs: StandingInputs,
): Standing {
  const { now, policy, memory } = inputs;
  const { vmId } = instance;
  const all = vmId === null ? [] : (workers?.get(vmId) ?? []);
  const ages = all.map(({ writtenAt }) => now.getTime() - writtenAt.getTime());
  const unheardMs = ages.length === 0 ? null : Math.min(...ages);
  const isHeard = unheardMs !== null && unheardMs <= policy.heartbeatStaleMs;
  // Of several workers on one machine, who has been silent for longer than any lease has no say.
  const reports = isHeard ? all.filter((_, index) => (ages[index] ?? 0) <= policy.silentRemoveMs) : all;
  const etag = vmId === null ? undefined : drainRequests?.get(vmId);
  const isAsked =
    drainRequests === null ? vmId !== null && Object.hasOwn(memory.drains, vmId) : etag !== undefined;
  const hasConsented = isConsent(reports, etag) && isComplete(instance, all.length, inputs);
  const isGoing = reports.some(({ beat }) => beat.state === 'draining' || beat.state === 'drained');
  const life =
    workers === null ? lifeUnread(instance) : lifeOf(instance, { reports, unheardMs, isHeard, inputs });
  const sinceMs = Math.max(0, ...reports.map(({ beat }) => Date.parse(beat.stateSince)));
  return {
    instance,
    life,
    draining: hasConsented ? 'consented' : isAsked ? 'asked' : isGoing ? 'by-itself' : 'none',
    unheardMs,
    idleMs: life === 'idle' ? Math.max(0, now.getTime() - sinceMs) : 0,
    recentStored: reports.reduce((sum, { beat }) => sum + beat.recentStored, 0),
    recentFailed: reports.reduce((sum, { beat }) => sum + beat.recentFailed, 0),
    isTooOld: reports.some(({ beat }) => beat.isTooOld),
  };
}

/** Whether these workers, all that were heard of on a machine, consent to the request with this etag. */
export function isConsent(reports: readonly WorkerReport[], etag: string | undefined): boolean {
  if (etag === undefined || reports.length === 0) return false;
  return reports.every(({ beat }) => beat.state === 'drained' && beat.drainEtag === etag);
}

/** A worker that was never heard of may yet come up, until the boot time-out is over. */
function isComplete({ createdAt }: Instance, workersHeard: number, { now, policy }: StandingInputs): boolean {
  return (
    workersHeard >= policy.enginesPerInstance ||
    now.getTime() - createdAt.getTime() > policy.bootTimeoutMs + policy.silentRemoveMs
  );
}

function lifeOf(
  instance: Instance,
  {
    reports,
    unheardMs,
    isHeard,
    inputs,
  }: {
    readonly reports: readonly WorkerReport[];
    readonly unheardMs: number | null;
    readonly isHeard: boolean;
    readonly inputs: StandingInputs;
  },
): Life {
  const { now, atMs, policy, memory } = inputs;
  const { phase, vmId, createdAt } = instance;
  if (phase === 'deleting') return 'leaving';
  if (phase === 'stopped' && !isHeard) return 'not-running';
  if (unheardMs === null) {
    if (phase === 'failed') return vmId === null ? 'not-running' : 'failed';
    return now.getTime() - createdAt.getTime() > policy.bootTimeoutMs ? 'overdue' : 'booting';
  }
  if (!isHeard) return 'silent';
  const states = new Set(reports.map(({ beat }) => beat.state));
  if (states.has('busy') || states.has('draining')) return 'busy';
  if (!states.has('booting')) return 'idle';
  const sinceMs =
    (vmId !== null && Object.hasOwn(memory.unreadySinceMs, vmId) ? memory.unreadySinceMs[vmId] : atMs) ??
    atMs;
  return atMs - sinceMs > policy.bootTimeoutMs ? 'unready' : 'booting';
}

/** Nobody can be heard: whoever may be at work is taken to be. */
function lifeUnread({ phase }: Instance): Life {
  if (phase === 'deleting') return 'leaving';
  if (phase === 'stopped') return 'not-running';
  return phase === 'creating' ? 'booting' : 'busy';
}
