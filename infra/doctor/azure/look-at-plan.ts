/** Looks at what Azure has for a fleet that is to be made: whether the size is offered, and how many of it this subscription may have. */
import type { Look } from '../look.ts';
import type { Arm } from './ask-arm.ts';
import { type Plan, judgePools } from './judge-pools.ts';
import { judgeProviders } from './judge-providers.ts';
import { type Question, judgeRefusal } from './judge-refusal.ts';

const READER = 'Reader on the subscription';

export function planLooks(
  arm: Arm,
  plan: () => Promise<Plan | null>,
  { isDeployed }: { readonly isDeployed: boolean },
): Look[] {
  const asked = (what: string): Question => ({ what, needs: READER, isAll: !isDeployed });
  return [
    {
      topic: 'providers',
      find: async (signal) => {
        const answer = await arm.providers(signal);
        return 'refusal' in answer
          ? [judgeRefusal('providers', asked('list the resource providers'), answer.refusal)]
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
        if ('refusal' in sizes)
          return [judgeRefusal('size', asked(`list the sizes of ${location}`), sizes.refusal)];
        const refusals =
          'refusal' in usages
            ? [judgeRefusal('quota', asked(`read the quotas of ${location}`), usages.refusal)]
            : [];
        const quotas = 'refusal' in usages ? null : usages.reading;
        return [...judgePools(known, sizes.reading, quotas), ...refusals];
      },
    },
  ];
}
