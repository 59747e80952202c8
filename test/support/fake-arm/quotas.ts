/**
 * A subscription's quotas in one region, in virtual cores: one for each family of sizes, one for all
 * families together, and one for spot.
 */
import { type Answer, quotaExceeded } from './answers.ts';

export const SPOT_QUOTA = 'lowPriorityCores';
export const REGION_QUOTA = 'cores';

interface Quota {
  /** The names in usages and in refusals. */
  readonly localName: string;
  readonly refusalName: string;
  limit: number;
  /** Cores used outside the fake scale sets. */
  usedElsewhere: number;
}

export interface CoreDemand {
  readonly kind: 'spot' | 'on-demand';
  /** Such as `standardNCASv3_T4Family`. */
  readonly family: string;
  readonly cores: number;
}

export class Quotas {
  readonly #location: string;
  readonly #quotas = new Map<string, Quota>();

  constructor(location: string) {
    this.#location = location;
    this.set(SPOT_QUOTA, 10_000);
    this.set(REGION_QUOTA, 10_000);
  }

  set(name: string, limit: number, usedElsewhere = 0): void {
    const names =
      name === SPOT_QUOTA
        ? { localName: 'Total Regional Low-priority vCPUs', refusalName: 'LowPriorityCores' }
        : name === REGION_QUOTA
          ? { localName: 'Total Regional vCPUs', refusalName: 'Total Regional Cores' }
          : { localName: `${name} vCPUs`, refusalName: `${name.replace(/ ?Family$/, '')} Family Cores` };
    this.#quotas.set(name, { ...names, limit, usedElsewhere });
  }

  /** Returns the refusal, or null if the quota suffices. `used` returns the cores that the scale sets use of a quota. */
  check({ kind, family, cores }: CoreDemand, used: (quota: string) => number): Answer | null {
    for (const name of kind === 'spot' ? [SPOT_QUOTA] : [family, REGION_QUOTA]) {
      const quota = this.#quotas.get(name);
      if (quota === undefined) continue;
      const usage = quota.usedElsewhere + used(name);
      if (usage + cores > quota.limit)
        return quotaExceeded({
          quota: quota.refusalName,
          location: this.#location,
          limit: quota.limit,
          usage,
          more: cores,
        });
    }
    return null;
  }

  usages(used: (quota: string) => number) {
    return [...this.#quotas].map(([name, { localName, limit, usedElsewhere }]) => ({
      unit: 'Count',
      currentValue: usedElsewhere + used(name),
      limit,
      name: { value: name, localizedValue: localName },
    }));
  }
}
