/** Builds what one tick observes: no work and no instances, except for what a test sets. */
import type { Instance } from '../../scaler/fleet/fleet.ts';
import type { JobBacklog, Observation, WorkerReport } from '../../scaler/observe/observation.ts';
import type { Heartbeat } from '../../shared/contract/heartbeat.ts';

export const NOW = new Date('2026-11-23T06:15:00.000Z');
export const ago = (seconds: number): Date => new Date(NOW.getTime() - seconds * 1000);

export function buildSight(fields: Partial<Observation> = {}): Observation {
  return {
    now: NOW,
    atMs: NOW.getTime(),
    messagesApprox: 0,
    backlog: [],
    fleet: {
      pools: [{ name: 'gpu', kind: 'spot', capacity: 0, isChanging: false, refusal: null }],
      instances: [],
    },
    workers: new Map(),
    drainRequests: new Map(),
    ratesByModel: new Map(),
    bootMs: null,
    override: null,
    ...fields,
  };
}

/** An instance that was created an hour ago. */
export function buildInstance(vmId: string | null, fields: Partial<Instance> = {}): Instance {
  return { pool: 'gpu', instanceId: vmId ?? 'new', vmId, phase: 'running', createdAt: ago(3600), ...fields };
}

/** A fleet of these instances. */
export function fleetOf(...instances: readonly Instance[]): NonNullable<Observation['fleet']> {
  const names = [...new Set(['gpu', ...instances.map(({ pool }) => pool)])];
  return {
    pools: names.map((name) => ({
      name,
      kind: 'spot',
      capacity: instances.filter(({ pool }) => pool === name).length,
      isChanging: false,
      refusal: null,
    })),
    instances,
  };
}

export function buildBeat(vmId: string, fields: Partial<Heartbeat> = {}): Heartbeat {
  return {
    version: 1,
    workerId: `${vmId}-0`,
    vmId,
    state: 'idle',
    stateSince: ago(60).toISOString(),
    sequence: 100,
    sentAt: ago(1).toISOString(),
    jobId: null,
    executionProvider: 'cuda',
    model: null,
    megapixelsPerSecond: null,
    recentStored: 0,
    recentFailed: 0,
    isTooOld: false,
    drainEtag: null,
    ...fields,
  };
}

export function buildReport(vmId: string, fields: Partial<Heartbeat> = {}, writtenAt = ago(1)): WorkerReport {
  return { beat: buildBeat(vmId, fields), writtenAt };
}

/** Reports by vmId, as in an observation. */
export function workersOf(...reports: readonly WorkerReport[]): Map<string, readonly WorkerReport[]> {
  return Map.groupBy(reports, ({ beat }) => beat.vmId);
}

export function buildBacklog(jobId: string, fields: Partial<JobBacklog> = {}): JobBacklog {
  return {
    jobId,
    model: 'painter',
    priority: 'normal',
    framesRemaining: 100,
    framesDone: 0,
    batchesRemaining: 10,
    framesInFlight: 0,
    messagesMax: 0,
    megapixelsPerFrame: 2,
    isSplitting: false,
    spent: 0,
    spendingMax: null,
    deadlineAt: null,
    ...fields,
  };
}
