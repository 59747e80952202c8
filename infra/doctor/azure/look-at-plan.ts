/** Looks at what Azure has for a fleet that is to be made: whether the size is offered, and how many of it this subscription may have. */
import type { Finding } from '../finding.ts';
import type { Look } from '../look.ts';
import type { Answer, Arm } from './ask-arm.ts';
import { judgeProviders } from './judge-providers.ts';
import { type UsageReading, judgeQuota } from './judge-quota.ts';
import { judgeRefusal } from './judge-refusal.ts';
import { type SizeReading, find, judgeSize } from './judge-size.ts';

export interface Plan {
  readonly location: string;
  /** Of each, so many machines of which so many run. */
  readonly pools: readonly {
    readonly size: string;
    readonly kind: 'spot' | 'on-demand';
    readonly running: number;
  }[];
  readonly machines: number;
}

const READER = 'Reader on the subscription';

export function planLooks(
  arm: Arm,
  plan: () => Promise<Plan | null>,
  { isDeployed }: { isDeployed: boolean },
): Look[] {
  return [
    {
      topic: 'providers',
      find: async (signal) => {
        const answer = await arm.providers(signal);
        return 'refusal' in answer
          ? [
              judgeRefusal(
                'providers',
                { what: 'list the resource providers', needs: READER },
                answer.refusal,
              ),
            ]
          : [judgeProviders(answer.reading, { isDeployed })];
      },
    },
    {
      topic: 'size',
      find: async (signal) => {
        const known = await plan();
        if (known === null) return [];
        const { location } = known;
        const [sizes, usages] = await Promise.all([
          arm.sizes(location, signal),
          arm.usages(location, signal),
        ]);
        return judgePools(known, sizes, usages);
      },
    },
  ];
}

/** Each size once, then the quota of each pool. */
function judgePools(plan: Plan, sizes: Answer<SizeReading[]>, usages: Answer<UsageReading[]>): Finding[] {
  const { location, pools, machines } = plan;
  if ('refusal' in sizes)
    return [judgeRefusal('size', { what: `list the sizes of ${location}`, needs: READER }, sizes.refusal)];
  const catalogue = sizes.reading;
  const names = [...new Set(pools.map(({ size }) => size))];
  const offered = names.map((size) => judgeSize({ size, location, catalogue }));
  if ('refusal' in usages)
    return [
      ...offered,
      judgeRefusal('quota', { what: `read the quotas of ${location}`, needs: READER }, usages.refusal),
    ];
  const room = pools.flatMap(({ size, kind, running }) => {
    const found = find(catalogue, size);
    if (found === undefined) return [];
    const wanted = {
      kind,
      size: found.name,
      family: found.family,
      coresPerMachine: found.cores,
      machines,
      running,
    };
    return judgeQuota({ location, wanted, usages: usages.reading });
  });
  return [...offered, ...room];
}
