/** Charges instance time to jobs at each tick. Only the leader charges. The amounts are in Redis and survive restarts. */
import type { Spending, SpendingSoFar } from '../../shared/redis/spending.ts';
import type { Observation } from '../observe/observation.ts';
import { costOf, shareCost } from './share-cost.ts';

export interface ChargeOptions {
  readonly spending: Spending;
  /** By pool. */
  readonly pricePerHour: Readonly<Record<string, number>>;
  readonly isLeading: boolean;
}

/** Returns the total spending. Charges nothing if the fleet or the ledger cannot be read; a later tick catches up. */
export async function chargeCosts(
  { now, fleet, backlog, ratesByModel }: Observation,
  { spending, pricePerHour, isLeading }: ChargeOptions,
): Promise<SpendingSoFar> {
  const before = await spending.read();
  if (!isLeading || fleet === null || backlog === null) return before;
  const upToMs = now.getTime();
  const sinceMs = before.chargedUpToMs;
  if (sinceMs !== null && sinceMs >= upToMs) return before;
  const { instances } = fleet;
  const cost = costOf(instances, pricePerHour, { sinceMs: sinceMs ?? 0, upToMs });
  const isCharged = await spending.charge({
    sinceMs,
    upToMs,
    byJob: cost.machineMs === 0 ? new Map() : shareCost(cost, backlog, ratesByModel),
  });
  if (!isCharged) return spending.read();
  await spending.foldEarlierJobs(new Set(backlog.map(({ jobId }) => jobId)));
  return spending.read();
}
