/**
 * What the machines of a stretch of time cost, and for whom they ran. PURE.
 *
 * A machine costs from the moment it is asked for, booting and idle too. Its cost goes to the open jobs by what is left of each in
 * engine-seconds, because that is what the fleet was sized for; a job at its cap pays only for what is in flight. With nothing to do
 * it is charged to no job. Whole numbers throughout, so that the parts add up to the whole.
 */
import { type Amount, UNATTRIBUTED } from '../../shared/redis/spending.ts';
import type { Instance } from '../fleet/fleet.ts';
import type { JobBacklog } from '../observe/observation.ts';
import { costWeightOf } from './spending-cap.ts';

const HOUR_MS = 3_600_000;
/** After a longer gap nobody knows what ran: so much of it is charged. */
const GAP_MS_MAX = 15 * 60_000;

/** Machines that are paid for: a stopped one has been deallocated. */
export function isPaidFor({ phase }: Pick<Instance, 'phase'>): boolean {
  return phase === 'creating' || phase === 'running';
}

/** Currency per hour of all that run. */
export function spendingPerHour(
  instances: readonly Instance[],
  pricePerHour: Readonly<Record<string, number>>,
): number {
  return instances.filter(isPaidFor).reduce((sum, { pool }) => sum + (pricePerHour[pool] ?? 0), 0);
}

/** From `sinceMs`, or each machine's beginning where that is later, to `upToMs`. */
export function costOf({
  instances,
  pricePerHour,
  sinceMs,
  upToMs,
}: {
  readonly instances: readonly Instance[];
  /** By pool. */
  readonly pricePerHour: Readonly<Record<string, number>>;
  readonly sinceMs: number;
  readonly upToMs: number;
}): Amount {
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
  { machineMs, micros }: Amount,
  backlog: readonly JobBacklog[],
  ratesByModel: ReadonlyMap<string, number>,
): Map<string, Amount> {
  const weights = backlog.map((job) => ({ jobId: job.jobId, weight: costWeightOf(job, ratesByModel) }));
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
    // What rounding left over.
    shares.set(largest.jobId, {
      machineMs: share.machineMs + left.machineMs,
      micros: share.micros + left.micros,
    });
  }
  return shares;
}
