/**
 * The last check before a removal: which of the named instances may still be removed. PURE.
 *
 *   drained       its workers are still drained and quote the drain request in force now; a worker that was silent when the decision
 *                 was made is silent still
 *   unresponsive  no worker on it has sent a heartbeat since the decision, or only ones that say it is still booting
 *   not-running   no worker on it has sent a heartbeat since the decision
 *
 * Every other instance stays, and the next tick decides again.
 */
import type { RemoveAction } from '../decide/decision.ts';
import { haveDrained } from '../decide/instance-state.ts';
import type { Instance } from '../fleet/fleet.ts';
import type { Observation, WorkerReport } from '../observe/observation.ts';

/** What is read again just before the removal. */
export interface FinalReadings {
  readonly workers: ReadonlyMap<string, readonly WorkerReport[]>;
  readonly drainRequests: ReadonlyMap<string, string>;
}

export function confirmRemoval(
  { pool, instanceIds, basis }: Pick<RemoveAction, 'pool' | 'instanceIds' | 'basis'>,
  { fleet, workers }: Pick<Observation, 'fleet' | 'workers'>,
  last: FinalReadings,
): readonly Instance[] {
  const ids = new Set(instanceIds);
  const named = (fleet?.instances ?? []).filter((one) => one.pool === pool && ids.has(one.instanceId));
  return named.filter(({ vmId }) => {
    const reports = vmId === null ? [] : (last.workers.get(vmId) ?? []);
    const drainEtag = vmId === null ? undefined : last.drainRequests.get(vmId);
    const before = vmId === null ? [] : (workers?.get(vmId) ?? []);
    const sequences = new Map(before.map(({ beat }) => [beat.workerId, beat.sequence]));
    const news = reports.filter(({ beat }) => sequences.get(beat.workerId) !== beat.sequence);
    switch (basis) {
      case 'drained': {
        const drained = reports.filter(({ beat }) => beat.state === 'drained');
        const others = news.filter(({ beat }) => beat.state !== 'drained');
        return haveDrained(drained, drainEtag) && others.length === 0;
      }
      case 'unresponsive':
        return news.every(({ beat }) => beat.state === 'booting');
      case 'not-running':
        return news.length === 0;
    }
  });
}
