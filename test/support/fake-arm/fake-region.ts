/**
 * One subscription in one region: scale sets, quotas and rate limits. It uses the test's clock; each request first advances the
 * state to the current time.
 */
import type { Clock } from '../../../shared/runtime/clock.ts';
import { seededRandom } from '../seeded-random.ts';
import { FakeScaleSet, type ScaleSetSpec } from './fake-scale-set.ts';
import { Quotas, REGION_QUOTA, SPOT_QUOTA } from './quotas.ts';
import type { SkuOffer } from './skus.ts';
import { TokenBuckets } from './token-buckets.ts';

export const SUBSCRIPTION_ID = '11111111-2222-4333-8444-555555555555';
export const RESOURCE_GROUP = 'framefleet';
export const LOCATION = 'westeurope';
export const T4_FAMILY = 'Standard NCASv3_T4 Family';

const T4: ScaleSetSpec = {
  name: 'spot',
  kind: 'spot',
  evictionPolicy: 'Delete',
  size: 'Standard_NC4as_T4_v3',
  family: T4_FAMILY,
  coresPerInstance: 4,
  bootMs: 90_000,
  deleteMs: 40_000,
};

export class FakeRegion {
  readonly quotas = new Quotas(LOCATION);
  readonly buckets = new TokenBuckets();
  readonly scaleSets = new Map<string, FakeScaleSet>();
  /** SKUs that replace or extend those of the scale sets. */
  readonly offers = new Map<string, SkuOffer | null>();
  /** Registration states of resource providers, by namespace. */
  readonly providers = new Map<string, string>();
  /** Machines per page. */
  pageSize = 50;
  readonly #clock: Clock;
  readonly #random;

  constructor({ clock, seed }: { readonly clock: Clock; readonly seed: number }) {
    this.#clock = clock;
    this.#random = seededRandom(seed);
  }

  get nowMs(): number {
    return this.#clock.now().getTime();
  }

  /** Adds a scale set. Default: spot T4 machines that boot in 90 s. */
  addScaleSet(spec: Partial<ScaleSetSpec> = {}): FakeScaleSet {
    const scaleSet = new FakeScaleSet({ ...T4, ...spec }, { random: this.#random, nowMs: this.nowMs });
    this.scaleSets.set(scaleSet.spec.name, scaleSet);
    return scaleSet;
  }

  /** Cores of a quota that the scale sets use. */
  coresUsed(quota: string): number {
    return [...this.scaleSets.values()]
      .filter(({ spec }) =>
        spec.kind === 'spot' ? quota === SPOT_QUOTA : quota === REGION_QUOTA || quota === spec.family,
      )
      .reduce((sum, { cores }) => sum + cores, 0);
  }

  /** Advances all scale sets to the current time. */
  advance(): void {
    for (const scaleSet of this.scaleSets.values()) scaleSet.advance(this.nowMs);
  }
}
