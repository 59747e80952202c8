/** Builds observations: a fleet without work, except for what a test sets. */
import type { Action, ScalingDecision } from '../../scaler/decide/decision.ts';
import type { FleetSnapshot, Instance, InstancePhase, Pool } from '../../scaler/fleet/fleet.ts';
import type { JobBacklog, Observation, WorkerReport } from '../../scaler/observe/observation.ts';
import type { Override } from '../../scaler/override/document.ts';
import type { Heartbeat, WorkerState } from '../../shared/contract/heartbeat.ts';

/** The time of every observation that sets no other. */
const NOW = new Date('2026-11-23T06:00:00.000Z');
export const AT_MS = NOW.getTime();
/** A frame of this size takes an engine without a measured rate one second. */
const MEGAPIXELS_A_SECOND = 4;

export interface SeenInstance {
  readonly vmId?: string;
  readonly pool?: string;
  /** The state in its worker's heartbeat; `none`: there is no heartbeat. */
  readonly says?: WorkerState | 'none';
  /** For how long it has been in that state. */
  readonly sinceMs?: number;
  /** Age of its heartbeat. */
  readonly heardMs?: number;
  readonly ageMs?: number;
  readonly phase?: InstancePhase;
  /** The drain request's etag that its worker quotes. */
  readonly quotes?: string | null;
  readonly beat?: Partial<Heartbeat>;
}

/** A job that takes one engine this many seconds, in batches of half a minute. */
export function buildJob(engineSeconds: number, fields: Partial<JobBacklog> = {}): JobBacklog {
  return {
    jobId: 'job',
    model: 'painter',
    priority: 'normal',
    framesRemaining: engineSeconds,
    framesDone: 0,
    batchesRemaining: Math.ceil(engineSeconds / 30),
    framesInFlight: 0,
    messagesMax: 0,
    megapixelsPerFrame: MEGAPIXELS_A_SECOND,
    isSplitting: false,
    spent: 0,
    spendingMax: null,
    deadlineAt: null,
    ...fields,
  };
}

function reportOf(vmId: string, seen: SeenInstance): readonly WorkerReport[] {
  const { says = 'idle', sinceMs = 0, heardMs = 2_000, quotes = null, beat = {} } = seen;
  if (says === 'none') return [];
  const writtenAt = new Date(AT_MS - heardMs);
  return [
    {
      beat: {
        version: 1,
        workerId: `${vmId}-0`,
        vmId,
        state: says,
        stateSince: new Date(AT_MS - sinceMs).toISOString(),
        sequence: 1,
        sentAt: writtenAt.toISOString(),
        jobId: null,
        executionProvider: null,
        model: null,
        megapixelsPerSecond: null,
        recentStored: 0,
        recentFailed: 0,
        isTooOld: false,
        drainEtag: quotes,
        ...beat,
      },
      writtenAt,
    },
  ];
}

function instanceOf(vmId: string, index: number, seen: SeenInstance): Instance {
  const { pool = 'local', ageMs = 3_600_000, phase = 'running' } = seen;
  return { pool, instanceId: String(index), vmId, phase, createdAt: new Date(AT_MS - ageMs) };
}

/** Pools whose instances are all listed. */
function buildPools(seen: readonly SeenInstance[], pools: readonly Partial<Pool>[]): Pool[] {
  return pools.map((fields) => {
    const name = fields.name ?? 'local';
    const capacity = seen.filter((one) => (one.pool ?? 'local') === name).length;
    return { name, kind: 'local', capacity, isChanging: false, refusal: null, ...fields };
  });
}

/** A fleet of these instances, each named `vm-<index>`. */
export function buildObservation(
  seen: readonly SeenInstance[] = [],
  { pools = [{}], ...fields }: Partial<Observation> & { readonly pools?: readonly Partial<Pool>[] } = {},
): Observation {
  const named = seen.map((one, index) => ({ ...one, vmId: one.vmId ?? `vm-${index}` }));
  const fleet: FleetSnapshot = {
    pools: buildPools(seen, pools),
    instances: named.map((one, index) => instanceOf(one.vmId, index, one)),
  };
  return {
    now: NOW,
    atMs: AT_MS,
    messagesApprox: 0,
    backlog: [],
    fleet,
    workers: new Map(named.map((one) => [one.vmId, reportOf(one.vmId, one)])),
    drainRequests: new Map(),
    ratesByModel: new Map(),
    bootMs: null,
    override: null,
    ...fields,
  };
}

/** The same fleet later: each worker has sent the same heartbeat again. */
export function later(seen: Observation, byMs: number): Observation {
  const [now, atMs] = [new Date(seen.now.getTime() + byMs), seen.atMs + byMs];
  if (seen.workers === null) return { ...seen, now, atMs };
  const heardAgain = (report: WorkerReport): WorkerReport => ({
    ...report,
    writtenAt: new Date(report.writtenAt.getTime() + byMs),
  });
  const workers = new Map(
    [...seen.workers].map(([vmId, reports]) => [vmId, reports.map(heardAgain)] as const),
  );
  return { ...seen, now, atMs, workers };
}

export function buildOverride(mode: Override['mode'], capacity: number | null, forMs = 600_000): Override {
  const expiresAt = new Date(AT_MS + forMs);
  return { mode, capacity, schedule: null, reason: 'a test', author: 'test', setAt: NOW, expiresAt };
}

/** The actions in short: `out local 3`, `drain idle vm-0 vm-1`, `remove idle vm-0`. */
export function inWords({ actions }: Pick<ScalingDecision, 'actions'>): string {
  return actions.map(actionInWords).join(', ') || 'hold';
}

function actionInWords(action: Action): string {
  switch (action.kind) {
    case 'scale-out':
      return `out ${action.pool} ${action.total}`;
    case 'drain':
      return `drain ${action.why} ${action.vmIds.join(' ')}`;
    case 'remove':
      return `remove ${action.why} ${action.vmIds.map((vmId) => vmId ?? 'unnamed').join(' ')}`;
  }
}
