/**
 * How a job's spending cap limits its demand and its share of the cost. PURE.
 *
 *   below the cap  demand for the remaining frames, but for no more than the remaining money buys in the cheapest pool
 *   at the cap     no demand for instances; the job pays for its batches in flight, which the running instances finish
 */
import type { JobBacklog, Observation } from '../observe/observation.ts';
import type { Policy } from '../policy.ts';
import { engineSecondsOf } from './engine-seconds.ts';

type Rates = Observation['ratesByModel'];

export function isAtItsCap({ spent, spendingMax }: Pick<JobBacklog, 'spent' | 'spendingMax'>): boolean {
  return spendingMax !== null && spent >= spendingMax;
}

/** The frames that the fleet has to process. For a job at its cap, only those in flight. */
export function framesToDo(job: JobBacklog): number {
  return isAtItsCap(job) ? job.framesInFlight : job.framesRemaining;
}

/** Engine-seconds of those frames. */
export function secondsToDo(job: JobBacklog, ratesByModel: Rates): number {
  return engineSecondsOf({ ...job, framesRemaining: framesToDo(job) }, ratesByModel);
}

/** Engine-seconds that count as demand for instances. */
export function secondsAskedFor(
  job: JobBacklog,
  ratesByModel: Rates,
  policy: Pick<Policy, 'pricePerHour' | 'enginesPerInstance'>,
): number {
  if (isAtItsCap(job)) return 0;
  const seconds = engineSecondsOf(job, ratesByModel);
  if (job.spendingMax === null) return seconds;
  const perEngineSecond = cheapestPrice(policy) / 3600 / policy.enginesPerInstance;
  return perEngineSecond > 0 ? Math.min(seconds, (job.spendingMax - job.spent) / perEngineSecond) : seconds;
}

/** The job's weight when costs are shared. */
export function costWeightOf(job: JobBacklog, ratesByModel: Rates): number {
  // A job that is still being split already needs an instance.
  const isWaiting = framesToDo(job) > 0 || (job.isSplitting && !isAtItsCap(job));
  return Math.max(isWaiting ? 1e-6 : 0, secondsToDo(job, ratesByModel));
}

/** Price of an instance per hour. 0 if any pool costs nothing. */
function cheapestPrice({ pricePerHour }: Pick<Policy, 'pricePerHour'>): number {
  const prices = Object.values(pricePerHour);
  return prices.length === 0 ? 0 : Math.min(...prices);
}
