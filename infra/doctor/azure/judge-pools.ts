/**
 * PURE. Judges whether a fleet can get VMs from its pools. A problem with one pool is an error only if no pool can be used;
 * otherwise it is a warning. A fleet with spot quota and no on-demand quota is usable.
 */
import type { Finding } from '../../../shared/contract/finding.ts';
import { errorFinding, warningFinding } from '../finding.ts';
import { type UsageReading, judgeQuota } from './judge-quota.ts';
import { type SizeReading, findSize, judgeSize } from './judge-size.ts';

interface PlannedPool {
  readonly size: string;
  readonly kind: 'spot' | 'on-demand';
  readonly zones: readonly string[];
  readonly running: number;
}

export interface FleetPlan {
  readonly location: string;
  readonly pools: readonly PlannedPool[];
  /** The number of VMs wanted in each pool, including those that run. */
  readonly instances: number;
}

/** What Azure reports for the region of a plan. */
export interface RegionReadings {
  readonly catalogue: readonly SizeReading[];
  /** Null if Azure did not return them. */
  readonly usages: readonly UsageReading[] | null;
}

/** One finding per size, then the quota findings of each pool. */
export function judgePools(plan: FleetPlan, region: RegionReadings): Finding[] {
  const judged = plan.pools.map((pool) => ({
    size: judgeSize(pool, plan.location, region.catalogue),
    quota: judgePoolQuota(pool, plan, region),
  }));
  const isUsable = judged.some(({ size, quota }) =>
    [size, ...quota].every(({ verdict }) => verdict !== 'error'),
  );
  const sizes = new Map(judged.map(({ size }) => [size.message, size]));
  const all = [...sizes.values(), ...judged.flatMap(({ quota }) => quota)];
  return isUsable ? all.map(asWarning) : all;
}

function judgePoolQuota(
  { size, kind, running }: PlannedPool,
  { location, instances }: FleetPlan,
  { catalogue, usages }: RegionReadings,
): Finding[] {
  const found = findSize(catalogue, size);
  if (found === undefined || usages === null) return [];
  const { name, family, cores, isSpotCapable } = found;
  if (kind === 'spot' && !isSpotCapable)
    return [
      errorFinding(
        'size',
        `${name} is not available as a spot VM`,
        'Remove spot from kinds, or choose another size.',
      ),
    ];
  if (cores === null)
    return [
      warningFinding(
        'quota',
        `Azure does not report how many vCPUs ${name} has`,
        `Check the quota in the portal: Quotas › Compute › ${location}.`,
      ),
    ];
  return judgeQuota(
    { kind, size: name, family, coresPerInstance: cores, instances, running },
    location,
    usages,
  );
}

/** For a pool that cannot be used while another pool can. */
function asWarning(finding: Finding): Finding {
  const { topic, verdict, message, hint = '' } = finding;
  return verdict === 'error' ? warningFinding(topic, `${message}; another pool has room`, hint) : finding;
}
