/**
 * Whether a job may miss its deadline, if a machine that works on it is taken away. PURE.
 *
 *   at risk   time left < 2 × (boot time + engine-seconds of the job / (desired × engines an instance))
 *
 * Twice, because a spot machine that is taken half-way costs another boot, and its share of the work goes on late. A deadline that
 * is past is no risk any more: what is late is not made good by dearer machines.
 */
import { engineSecondsOf } from '../costs/engine-seconds.ts';
import { isAtItsCap } from '../costs/spending-cap.ts';
import type { Observation } from '../observe/observation.ts';
import type { Policy } from '../policy.ts';

const MARGIN = 2;

export function isDeadlineAtRisk(
  { backlog, ratesByModel, now }: Pick<Observation, 'backlog' | 'ratesByModel' | 'now'>,
  { desired, bootMs, policy }: { readonly desired: number; readonly bootMs: number; readonly policy: Policy },
): boolean {
  const engines = Math.max(1, desired) * policy.enginesPerInstance;
  return (backlog ?? []).some((job) => {
    if (job.deadlineAt === null || job.framesRemaining === 0 || isAtItsCap(job)) return false;
    const leftMs = job.deadlineAt.getTime() - now.getTime();
    const workMs = (engineSecondsOf(job, ratesByModel) * 1000) / engines;
    return leftMs > 0 && leftMs < MARGIN * (bootMs + workMs);
  });
}
