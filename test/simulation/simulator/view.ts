/**
 * What a scaler observes of the simulated world: late, rounded, incomplete and sometimes wrong, but never more wrong than the real
 * sources can be. A message count is never too low, a heartbeat is the last one written, and a reading that fails is null.
 */
import type { Observation, WorkerReport } from '../../../scaler/observe/observation.ts';
import type { Override } from '../../../scaler/override/document.ts';
import type { SimulatedCloud } from './cloud.ts';
import type { SimulatedOverride, Scenario, SimulatedFaultKind } from './scenario.ts';
import type { SimulatedWork } from './work.ts';

/** How long heartbeats of machines that are gone stay in storage. */
const KEPT_MS = 600_000;
/** The rate of every simulated engine. The size of a frame follows from it, so that a batch takes as long as its job says. */
const MEGAPIXELS_PER_SECOND = 4;

export interface SimulatedStorage {
  /** Drain requests by vmId. */
  readonly requests: Map<string, string>;
  /** Last heartbeats of machines that the cloud no longer lists. */
  readonly lastHeartbeats: Map<string, WorkerReport>;
}

export interface ViewInputs {
  readonly atMs: number;
  readonly scenario: Scenario;
  readonly work: SimulatedWork;
  readonly cloud: SimulatedCloud;
  readonly storage: SimulatedStorage;
  readonly has: (kind: SimulatedFaultKind) => boolean;
  readonly skewMs: number;
  readonly bootMs: number | null;
  readonly override: SimulatedOverride | null;
}

export function observeSimulation(inputs: ViewInputs): Observation {
  const { atMs, scenario, work, cloud, storage, has, skewMs, bootMs, override } = inputs;
  const backlog = work.jobs.map(({ id, plan, remaining, unsplit }) => ({
    jobId: id,
    model: id,
    priority: 'normal' as const,
    framesRemaining: remaining * plan.framesPerBatch,
    framesDone: 0,
    batchesRemaining: remaining,
    framesInFlight: 0,
    messagesMax: 0,
    megapixelsPerFrame: ((plan.batchMs / 1000) * MEGAPIXELS_PER_SECOND) / plan.framesPerBatch,
    isSplitting: unsplit > 0,
    spent: 0,
    spendingMax: null,
    deadlineAt: null,
  }));
  return {
    now: new Date(atMs + skewMs),
    atMs: atMs + skewMs,
    messagesApprox: has('queue-unread') ? null : work.messages * (has('queue-high') ? 3 : 1),
    backlog: has('ledger-unread') ? null : backlog,
    fleet: has('fleet-unread') ? null : cloud.look(atMs),
    workers: has('workers-unread') ? null : workersIn(inputs),
    drainRequests: has('drains-unread') ? null : new Map(storage.requests),
    ratesByModel: new Map(work.jobs.map(({ id }) => [id, MEGAPIXELS_PER_SECOND])),
    bootMs,
    override: has('override-unread') ? 'unknown' : override && asObserved(override, scenario),
  };
}

function workersIn({ cloud, storage, atMs }: ViewInputs): ReadonlyMap<string, readonly WorkerReport[]> {
  const workers = new Map<string, readonly WorkerReport[]>();
  for (const [vmId, report] of storage.lastHeartbeats) {
    if (atMs - report.writtenAt.getTime() < KEPT_MS) workers.set(vmId, [report]);
    else storage.lastHeartbeats.delete(vmId);
  }
  for (const { vmId, beat, beatWrittenAtMs } of cloud.machines) {
    if (beat !== null) workers.set(vmId, [{ beat, writtenAt: new Date(beatWrittenAtMs) }]);
  }
  return workers;
}

function asObserved({ mode, capacity, fromMs, untilMs }: SimulatedOverride, { policy }: Scenario): Override {
  return {
    mode,
    capacity: mode === 'pause' ? null : Math.min(capacity, policy.capacityMax),
    schedule: null,
    reason: 'simulated',
    author: 'simulated',
    setAt: new Date(fromMs),
    expiresAt: new Date(untilMs),
  };
}
