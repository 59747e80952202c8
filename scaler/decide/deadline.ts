/**
 * Whether a job may miss its deadline, if a machine that works on it is taken away. PURE.
 *
 *   at risk   time left < 2 × (boot time + engine-seconds of the job / (desired × engines an instance))
 *
 * Twice, because a spot machine that is taken half-way costs another boot, and its share of the work goes on late. A deadline that
 * is past is no risk any more: what is late is not made good by dearer machines.
 */
import { MEGAPIXELS_PER_SECOND_ASSUMED } from '../../shared/contract/limits.ts';
import type { JobBacklog, Observation } from '../observation.ts';
import type { Policy } from '../policy.ts';

const MARGIN = 2;

export function isDeadlineAtRisk(
  { backlog, ratesByModel, now }: Pick<Observation, 'backlog' | 'ratesByModel' | 'now'>,
  { desired, bootMs, policy }: { readonly desired: number; readonly bootMs: number; readonly policy: Policy },
): boolean {
  const engines = Math.max(1, desired) * policy.enginesPerInstance;
  return (backlog ?? []).some((job) => {
    if (job.deadlineAt === null || job.framesRemaining === 0) return false;
    const leftMs = job.deadlineAt.getTime() - now.getTime();
    return leftMs > 0 && leftMs < MARGIN * (bootMs + engineMs(job, ratesByModel) / engines);
  });
}

function engineMs(job: JobBacklog, ratesByModel: ReadonlyMap<string, number>): number {
  const rate = ratesByModel.get(job.model) ?? MEGAPIXELS_PER_SECOND_ASSUMED;
  return (job.framesRemaining * job.megapixelsPerFrame * 1000) / Math.max(rate, 1e-9);
}
