import type { Backlog, Observation } from '../../scaler/observe.ts';
import type { Policy } from '../../scaler/policy.ts';
/** What the scaler sees of a fleet with nothing to do; say only what a test is about. */
import { type Heartbeat, type WorkerState } from '../../shared/contract/heartbeat.ts';

export const POLICY: Policy = { capacityMax: 10, drainTargetMs: 300_000, idleMs: 60_000 };
export const NO_BACKLOG: Backlog = {
  framesRemaining: 0,
  batchesRemaining: 0,
  engineSecondsRemaining: 0,
  jobsOpen: 0,
};

function beat(vmId: string, state: WorkerState): Heartbeat {
  const [stateSince, sentAt] = ['2026-11-23T06:00:00.000Z', '2026-11-23T06:15:00.000Z'];
  const engine = { executionProvider: null, model: null, megapixelsPerSecond: null };
  const own = { workerId: `${vmId}-0`, vmId, recentStored: 0, recentFailed: 0, isTooOld: false, drainEtag: null };
  return { version: 1, ...own, state, stateSince, sequence: 1, sentAt, ...engine };
}

/** A fleet in these states, each instance named `vm-<its index>`. */
export function buildObservation(
  states: readonly WorkerState[] = [],
  fields: Partial<Observation> = {},
): Observation {
  const beats = states.map((state, index) => beat(`vm-${index}`, state));
  return {
    atMs: 1_000_000,
    messagesApprox: 0,
    backlog: NO_BACKLOG,
    instances: beats.map(({ vmId }) => ({ vmId, startedAt: new Date(0) })),
    heartbeats: new Map(beats.map((one) => [one.vmId, one])),
    ...fields,
  };
}
