/**
 * The last look before a removal: who of those named may still go? PURE.
 *
 *   consent      its workers still say drained, quoting the drain request that stands now; one that was not heard when the decision
 *                was made has not been heard since
 *   silence      nobody on it has said a word since the decision was made, but for that it is still booting
 *   not-running  nobody on it has said a word since
 *
 * Anybody else stays, and the next tick decides anew.
 */
import type { RemoveAction } from '../decide/decision.ts';
import { isConsent } from '../decide/instance-state.ts';
import type { Instance } from '../fleet/fleet.ts';
import type { Observation, WorkerReport } from '../observe/observation.ts';

/** What is read again. */
export interface LastLook {
  readonly workers: ReadonlyMap<string, readonly WorkerReport[]>;
  readonly drainRequests: ReadonlyMap<string, string>;
}

export function whoMayGo(
  { pool, instanceIds, basis }: Pick<RemoveAction, 'pool' | 'instanceIds' | 'basis'>,
  { fleet, workers }: Pick<Observation, 'fleet' | 'workers'>,
  last: LastLook,
): readonly Instance[] {
  const wanted = new Set(instanceIds);
  const named = (fleet?.instances ?? []).filter((one) => one.pool === pool && wanted.has(one.instanceId));
  return named.filter(({ vmId }) => {
    const reports = vmId === null ? [] : (last.workers.get(vmId) ?? []);
    const drainEtag = vmId === null ? undefined : last.drainRequests.get(vmId);
    const before = vmId === null ? [] : (workers?.get(vmId) ?? []);
    const heardBefore = new Map(before.map(({ beat }) => [beat.workerId, beat.sequence]));
    const news = reports.filter(({ beat }) => heardBefore.get(beat.workerId) !== beat.sequence);
    switch (basis) {
      case 'consent': {
        const drained = reports.filter(({ beat }) => beat.state === 'drained');
        const others = news.filter(({ beat }) => beat.state !== 'drained');
        return isConsent(drained, drainEtag) && others.length === 0;
      }
      case 'silence':
        return news.every(({ beat }) => beat.state === 'booting');
      case 'not-running':
        return news.length === 0;
    }
  });
}
