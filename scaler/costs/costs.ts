/** Charges instance time to jobs at each tick. Only the leader charges. The amounts are in Redis and survive restarts. */
import type { Amount, Spending, SpendingSoFar } from '../../shared/redis/spending.ts';
import type { Instance } from '../fleet/fleet.ts';
import type { Observation } from '../observe/observation.ts';
import { type Activity, activityOf } from './activity.ts';
import { costOf, shareCost, shareWork } from './share-cost.ts';

export interface ChargeOptions {
  readonly spending: Spending;
  /** By pool. */
  readonly pricePerHour: Readonly<Record<string, number>>;
  readonly isLeading: boolean;
}

/** Returns the total spending. Charges nothing if the fleet or the ledger cannot be read; a later tick catches up. */
export async function chargeCosts(
  observation: Observation,
  { spending, pricePerHour, isLeading }: ChargeOptions,
): Promise<SpendingSoFar> {
  const { now, fleet, backlog, ratesByModel } = observation;
  const before = await spending.read();
  if (!isLeading || fleet === null || backlog === null) return before;
  const upToMs = now.getTime();
  const sinceMs = before.chargedUpToMs;
  if (sinceMs !== null && sinceMs >= upToMs) return before;
  const { instances } = fleet;
  const open = new Set(backlog.map(({ jobId }) => jobId));
  const shareOf = (activity: Activity): ReadonlyMap<string, Amount> => {
    const some = instances.filter((instance) => activityOf(instance, observation) === activity);
    const jobsOf = (instance: Instance): string =>
      activity === 'work' ? jobsWorkedOn(instance, observation, open).join(' ') : '';
    const shares = [...Map.groupBy(some, jobsOf)].map(([jobIds, group]) => {
      const cost = costOf(group, pricePerHour, { sinceMs: sinceMs ?? 0, upToMs });
      if (cost.machineMs === 0) return new Map<string, Amount>();
      return jobIds === '' ? shareCost(cost, backlog, ratesByModel) : shareWork(cost, jobIds.split(' '));
    });
    return sumOf(shares);
  };
  const [work, bootByJob, idleByJob] = [shareOf('work'), shareOf('boot'), shareOf('idle')];
  const byJob = sumOf([work, bootByJob, idleByJob]);
  const isCharged = await spending.charge({ sinceMs, upToMs, byJob, bootByJob, idleByJob });
  if (!isCharged) return spending.read();
  await spending.foldEarlierJobs(open);
  return spending.read();
}

/** The open jobs whose batches the workers of an instance have, once for each worker. */
function jobsWorkedOn({ vmId }: Instance, { workers }: Observation, open: ReadonlySet<string>): string[] {
  const beats = vmId === null ? [] : (workers?.get(vmId) ?? []).map(({ beat }) => beat);
  return beats
    .flatMap(({ state, jobId }) => (state === 'busy' && jobId !== null && open.has(jobId) ? [jobId] : []))
    .toSorted();
}

function sumOf(parts: readonly ReadonlyMap<string, Amount>[]): ReadonlyMap<string, Amount> {
  const total = new Map<string, Amount>();
  for (const [job, { machineMs, micros }] of parts.flatMap((part) => [...part])) {
    const before = total.get(job) ?? { machineMs: 0, micros: 0 };
    total.set(job, { machineMs: before.machineMs + machineMs, micros: before.micros + micros });
  }
  return total;
}
