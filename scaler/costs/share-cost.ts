/**
 * Calculates the cost of the instances over a time span and shares it among the open jobs. PURE.
 *
 * An instance costs money from the moment it is requested, while it boots and while it is idle. While its workers have batches, their jobs
 * pay for it. Otherwise the cost is shared in proportion to each job's remaining engine-seconds, which also determine the size of the fleet. A
 * job at its cap pays only for its batches in flight. Without open work, the cost is unattributed. All amounts are integers, so the shares add up to
 * the total.
 */
import { type Amount, UNATTRIBUTED } from '../../shared/redis/spending.ts';
import type { Instance } from '../fleet/fleet.ts';
import type { JobBacklog } from '../observe/observation.ts';
import { costWeightOf } from './spending-cap.ts';

const HOUR_MS = 3_600_000;
/** The most that is charged after a gap without ticks, in which it is unknown what ran. */
const GAP_MS_MAX = 15 * 60_000;

/** Whether the instance costs money. A stopped one is deallocated and does not. */
export function isPaidFor({ phase }: Pick<Instance, 'phase'>): boolean {
  return phase === 'creating' || phase === 'running';
}

/** Price per hour of all instances that cost money. */
export function spendingPerHour(
  instances: readonly Instance[],
  pricePerHour: Readonly<Record<string, number>>,
): number {
  return instances.filter(isPaidFor).reduce((sum, { pool }) => sum + (pricePerHour[pool] ?? 0), 0);
}

export interface TimeSpan {
  readonly sinceMs: number;
  readonly upToMs: number;
}

/** The cost over a time span, or since an instance's creation if that is later. Prices are by pool. */
export function costOf(
  instances: readonly Instance[],
  pricePerHour: Readonly<Record<string, number>>,
  { sinceMs, upToMs }: TimeSpan,
): Amount {
  const startMs = Math.max(sinceMs, upToMs - GAP_MS_MAX);
  let [machineMs, micros] = [0, 0];
  for (const { pool, createdAt } of instances.filter(isPaidFor)) {
    const ranMs = Math.max(0, upToMs - Math.max(startMs, createdAt.getTime()));
    machineMs += ranMs;
    micros += (ranMs / HOUR_MS) * (pricePerHour[pool] ?? 0) * 1e6;
  }
  return { machineMs: Math.round(machineMs), micros: Math.round(micros) };
}

export function shareCost(
  amount: Amount,
  backlog: readonly JobBacklog[],
  ratesByModel: ReadonlyMap<string, number>,
): Map<string, Amount> {
  return shareByWeight(
    amount,
    backlog.map((job) => ({ jobId: job.jobId, weight: costWeightOf(job, ratesByModel) })),
  );
}

/** Charges the jobs whose batches the workers of an instance have, and each worker the same share. */
export function shareWork(amount: Amount, jobIds: readonly string[]): Map<string, Amount> {
  const workers = Map.groupBy(jobIds, (jobId) => jobId);
  return shareByWeight(
    amount,
    [...workers].map(([jobId, { length: weight }]) => ({ jobId, weight })),
  );
}

interface JobWeight {
  readonly jobId: string;
  readonly weight: number;
}

function shareByWeight({ machineMs, micros }: Amount, weights: readonly JobWeight[]): Map<string, Amount> {
  const whole = weights.reduce((sum, { weight }) => sum + weight, 0);
  if (whole === 0) return new Map([[UNATTRIBUTED, { machineMs, micros }]]);
  const shares = new Map<string, Amount>();
  const left = { machineMs, micros };
  for (const { jobId, weight } of weights) {
    const share = {
      machineMs: Math.floor((machineMs * weight) / whole),
      micros: Math.floor((micros * weight) / whole),
    };
    left.machineMs -= share.machineMs;
    left.micros -= share.micros;
    shares.set(jobId, share);
  }
  const [largest] = weights.toSorted((a, b) => b.weight - a.weight);
  const share = largest && shares.get(largest.jobId);
  if (largest !== undefined && share !== undefined) {
    // The largest job pays the remainder from rounding.
    shares.set(largest.jobId, {
      machineMs: share.machineMs + left.machineMs,
      micros: share.micros + left.micros,
    });
  }
  return shares;
}
