/**
 * What one subscription has in one region: scale sets, quotas, and how many calls it may make. It lives on the test's clock: what
 * is to be seen at a moment is worked out when somebody asks.
 */
import type { Clock } from '../../../shared/runtime/clock.ts';
import { seededRandom } from '../seeded-random.ts';
import { FakeScaleSet, type ScaleSetSpec } from './fake-scale-set.ts';
import { Quotas, REGION_QUOTA, SPOT_QUOTA } from './quotas.ts';
import type { Offer } from './skus.ts';
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
  coresPerMachine: 4,
  bootMs: 90_000,
  deleteMs: 40_000,
};

export class FakeRegion {
  readonly quotas = new Quotas(LOCATION);
  readonly buckets = new TokenBuckets();
  readonly scaleSets = new Map<string, FakeScaleSet>();
  /** Of sizes, beside those of the scale sets or in their place. */
  readonly offers = new Map<string, Offer | null>();
  /** Namespaces of resource providers, with their state. */
  readonly providers = new Map<string, string>();
  /** Of a list of machines. */
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

  /** Say only what a test is about: the rest is a spot T4 that boots in 90 s. */
  addScaleSet(spec: Partial<ScaleSetSpec> = {}): FakeScaleSet {
    const scaleSet = new FakeScaleSet({ ...T4, ...spec }, { random: this.#random, nowMs: this.nowMs });
    this.scaleSets.set(scaleSet.spec.name, scaleSet);
    return scaleSet;
  }

  /** Virtual cores of a quota that its scale sets use. */
  coresUsed(quota: string): number {
    return [...this.scaleSets.values()]
      .filter(({ spec }) =>
        spec.kind === 'spot' ? quota === SPOT_QUOTA : quota === REGION_QUOTA || quota === spec.family,
      )
      .reduce((sum, { cores }) => sum + cores, 0);
  }

  /** Brings everything up to the moment. */
  advance(): void {
    for (const scaleSet of this.scaleSets.values()) scaleSet.advance(this.nowMs);
  }
}
