/**
 * What a scaler sees of a simulated world: late, rounded, in part, and now and then wrong, but never more wrong than the real
 * sources may be. A count of messages is never too low. A heartbeat is what was last written. What cannot be read is null.
 */
import type { Observation, Override, WorkerReport } from '../../../scaler/observe/observation.ts';
import type { SimulatedCloud } from './cloud.ts';
import type { AskedOverride, Scenario, TroubleKind } from './scenario.ts';
import type { SimulatedWork } from './work.ts';

/** Heartbeats of machines that are gone stay in storage for a while. */
const KEPT_MS = 600_000;
/** Megapixels of a simulated frame, and what an engine does in a second: so a batch takes what the job says. */
const MEGAPIXELS_PER_SECOND = 4;

export interface SimulatedStorage {
  /** Drain requests by vmId. */
  readonly requests: Map<string, string>;
  /** Last words of machines that are out of the cloud's list. */
  readonly lastWords: Map<string, WorkerReport>;
}

export interface ViewInputs {
  readonly atMs: number;
  readonly scenario: Scenario;
  readonly work: SimulatedWork;
  readonly cloud: SimulatedCloud;
  readonly storage: SimulatedStorage;
  readonly has: (kind: TroubleKind) => boolean;
  readonly skewMs: number;
  readonly bootMs: number | null;
  readonly override: AskedOverride | null;
}

export function viewOf(inputs: ViewInputs): Observation {
  const { atMs, scenario, work, cloud, storage, has, skewMs, bootMs, override } = inputs;
  const backlog = work.jobs.map(({ id, asked, remaining, unsplit }) => ({
    jobId: id,
    model: id,
    priority: 'normal' as const,
    framesRemaining: remaining * asked.framesPerBatch,
    batchesRemaining: remaining,
    framesInFlight: 0,
    messagesMax: 0,
    megapixelsPerFrame: ((asked.batchMs / 1000) * MEGAPIXELS_PER_SECOND) / asked.framesPerBatch,
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
  for (const [vmId, report] of storage.lastWords) {
    if (atMs - report.writtenAt.getTime() < KEPT_MS) workers.set(vmId, [report]);
    else storage.lastWords.delete(vmId);
  }
  for (const { vmId, beat, beatWrittenAtMs } of cloud.machines) {
    if (beat !== null) workers.set(vmId, [{ beat, writtenAt: new Date(beatWrittenAtMs) }]);
  }
  return workers;
}

function asObserved({ mode, capacity, fromMs, untilMs }: AskedOverride, { policy }: Scenario): Override {
  return {
    mode,
    capacity: mode === 'pause' ? null : Math.min(capacity, policy.capacityMax),
    reason: 'simulated',
    author: 'simulated',
    setAt: new Date(fromMs),
    expiresAt: new Date(untilMs),
  };
}
