/**
 * What a job with a cap on its cost asks of the fleet, and pays for. PURE.
 *
 *   below its cap  it asks for what is left of it, but for no more than its money buys on the cheapest pool
 *   at its cap     it asks for no instance, and pays only for its batches in flight, which the running instances finish
 */
import type { JobBacklog, Observation } from '../observe/observation.ts';
import type { Policy } from '../policy.ts';
import { engineSecondsOf } from './engine-seconds.ts';

type Rates = Observation['ratesByModel'];

export function isAtItsCap({ spent, spendingMax }: Pick<JobBacklog, 'spent' | 'spendingMax'>): boolean {
  return spendingMax !== null && spent >= spendingMax;
}

/** The frames that the fleet has to do: of a job at its cap those in flight. */
export function framesToDo(job: JobBacklog): number {
  return isAtItsCap(job) ? job.framesInFlight : job.framesRemaining;
}

/** Engine-seconds of those frames. */
export function secondsToDo(job: JobBacklog, ratesByModel: Rates): number {
  return engineSecondsOf({ ...job, framesRemaining: framesToDo(job) }, ratesByModel);
}

/** Engine-seconds that a job asks for. */
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

/** By what a job's share of the cost is counted, against that of the others. */
export function costWeightOf(job: JobBacklog, ratesByModel: Rates): number {
  // A job that has only been opened brings a machine all the same.
  const isWaiting = framesToDo(job) > 0 || (job.isSplitting && !isAtItsCap(job));
  return Math.max(isWaiting ? 1e-6 : 0, secondsToDo(job, ratesByModel));
}

/** Of an instance an hour; 0 where any pool costs nothing. */
function cheapestPrice({ pricePerHour }: Pick<Policy, 'pricePerHour'>): number {
  const prices = Object.values(pricePerHour);
  return prices.length === 0 ? 0 : Math.min(...prices);
}
