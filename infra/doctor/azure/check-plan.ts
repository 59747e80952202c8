/** Checks what Azure offers for a fleet: resource providers, VM sizes and quota. */
import type { Check } from '../check.ts';
import type { Arm } from './arm.ts';
import { type FleetPlan, judgePools } from './judge-pools.ts';
import { judgeProviders } from './judge-providers.ts';
import { type ArmQuery, judgeRefusal } from './judge-refusal.ts';

/** `plan` returns null if the fleet's scale sets could not be read; sizes and quota are not checked then. */
export function planChecks(
  arm: Arm,
  plan: () => Promise<FleetPlan | null>,
  { isDeployed }: { readonly isDeployed: boolean },
): Check[] {
  const query = (action: string): ArmQuery => ({
    action,
    role: 'Reader on the subscription',
    isRequired: !isDeployed,
  });
  return [
    {
      topic: 'providers',
      run: async (signal) => {
        const answer = await arm.providers(signal);
        return 'refusal' in answer
          ? [judgeRefusal('providers', query('list the resource providers'), answer.refusal)]
          : [judgeProviders(answer.reading, { isDeployed })];
      },
    },
    {
      topic: 'size',
      run: async (signal) => {
        const known = await plan();
        if (known === null) return [];
        const { location } = known;
        const [sizes, usages] = await Promise.all([
          arm.sizes(location, signal),
          arm.usages(location, signal),
        ]);
        if ('refusal' in sizes)
          return [judgeRefusal('size', query(`list the VM sizes in ${location}`), sizes.refusal)];
        if ('refusal' in usages)
          return [
            ...judgePools(known, { catalogue: sizes.reading, usages: null }),
            judgeRefusal('quota', query(`read the quotas of ${location}`), usages.refusal),
          ];
        return judgePools(known, { catalogue: sizes.reading, usages: usages.reading });
      },
    },
  ];
}
