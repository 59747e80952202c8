/**
 * PURE. Whether a fleet gets machines from any of its pools: what keeps one pool from it is wrong only where it keeps all of them
 * from it. Spot without a quota on demand is a fleet, too.
 */
import type { Finding } from '../../../shared/contract/finding.ts';
import { warning, wrong } from '../finding.ts';
import { type UsageReading, judgeQuota } from './judge-quota.ts';
import { type SizeReading, find, judgeSize } from './judge-size.ts';

export interface Plan {
  readonly location: string;
  /** Of each, so many machines of which so many run. */
  readonly pools: readonly {
    readonly size: string;
    readonly kind: 'spot' | 'on-demand';
    readonly zones: readonly string[];
    readonly running: number;
  }[];
  readonly machines: number;
}

/** Each size once, then the quota of each pool. `usages` is null where they could not be read. */
export function judgePools(
  { location, pools, machines }: Plan,
  catalogue: readonly SizeReading[],
  usages: readonly UsageReading[] | null,
): Finding[] {
  const judged = pools.map((pool) => {
    const size = judgeSize({ size: pool.size, location, zones: pool.zones, catalogue });
    return { size, quota: quotaOf(pool, { location, machines, catalogue, usages }) };
  });
  const isUsable = judged.some(({ size, quota }) =>
    [size, ...quota].every(({ verdict }) => verdict !== 'wrong'),
  );
  const sizes = new Map(judged.map(({ size }) => [size.says, size]));
  const all = [...sizes.values(), ...judged.flatMap(({ quota }) => quota)];
  return isUsable ? all.map(milder) : all;
}

function quotaOf(
  { size, kind, running }: Plan['pools'][number],
  {
    location,
    machines,
    catalogue,
    usages,
  }: Pick<Plan, 'location' | 'machines'> & {
    readonly catalogue: readonly SizeReading[];
    readonly usages: readonly UsageReading[] | null;
  },
): Finding[] {
  const found = find(catalogue, size);
  if (found === undefined || usages === null) return [];
  const { name, family, cores, isSpotCapable } = found;
  if (kind === 'spot' && !isSpotCapable)
    return [
      wrong('size', `${name} cannot be had as spot`, 'Leave spot out of kinds, or choose another size.'),
    ];
  if (cores === null)
    return [
      warning(
        'quota',
        `Azure does not say how many vCPUs a ${name} has`,
        `See the portal: Quotas › Compute › ${location}.`,
      ),
    ];
  const wanted = { kind, size: name, family, coresPerMachine: cores, machines, running };
  return judgeQuota({ location, wanted, usages });
}

/** Of a pool that gives nothing while another does. */
function milder(finding: Finding): Finding {
  const { topic, verdict, says, todo = '' } = finding;
  return verdict === 'wrong' ? warning(topic, `${says}; another pool has room`, todo) : finding;
}
