/**
 * A fleet of uniform scale sets on Azure, in the order in which they are to be filled: spot first.
 *
 * A view is made of complete readings only: where one of them fails, nothing is known, and `look` throws.
 *
 * Azure bears ten lists of a scale set's machines a minute. So a view holds for some seconds, or until something is asked of the
 * fleet, whatever the tick: two scalers may look side by side. Where Azure says all the same that it was read too often, it is left
 * alone for as long as it asks, five minutes at most: one look in five minutes hurts nobody, and a fleet that nobody looks at
 * costs money.
 */
import type { Clock } from '../../shared/runtime/clock.ts';
import { refusalOf } from './arm-errors.ts';
import { armFailureOf } from './arm-failure.ts';
import { ComputeCalls, type ComputeParts } from './compute-calls.ts';
import { type Fleet, FleetUnreadable, type FleetView, type Outcome } from './fleet.ts';
import { ScaleSet } from './scale-set.ts';

/** Two scalers then look nine times a minute; looks after a change come on top, which bursts of 30 allow. */
const VIEW_HOLDS_MS = 13_000;
const UNREAD_MAX_MS = 5 * 60_000;

export interface ScaleSetPool {
  /** Of the scale set. */
  readonly name: string;
  readonly kind: 'spot' | 'on-demand';
}

export class AzureScaleSets implements Fleet {
  readonly #clock: Clock;
  readonly #scaleSets: readonly ScaleSet[];
  #last: { readonly view: FleetView; readonly atMs: number } | null = null;
  /** Azure asked not to be read before. */
  #unread: { readonly untilMs: number; readonly error: FleetUnreadable } | null = null;

  constructor({
    pools,
    compute,
    clock,
  }: {
    readonly pools: readonly ScaleSetPool[];
    readonly compute: ComputeParts;
    readonly clock: Clock;
  }) {
    const calls = new ComputeCalls(compute);
    this.#clock = clock;
    this.#scaleSets = pools.map(({ name, kind }) => new ScaleSet({ name, kind, calls, clock }));
  }

  async look(signal?: AbortSignal): Promise<FleetView> {
    signal?.throwIfAborted();
    const atMs = this.#clock.monotonicMs();
    if (this.#unread !== null && atMs < this.#unread.untilMs) throw this.#unread.error;
    if (this.#last !== null && atMs - this.#last.atMs < VIEW_HOLDS_MS) return this.#last.view;
    try {
      const looks = await Promise.all(
        this.#scaleSets.map(async (scaleSet) => ({ scaleSet, ...(await scaleSet.look(signal)) })),
      );
      const instances = looks.flatMap((one) => one.instances);
      const told = looks.map(({ pool }) => ({ ...pool, refusal: null }));
      this.#last = { view: { pools: told, instances }, atMs };
      return {
        pools: looks.map(({ pool, scaleSet }) => ({ ...pool, refusal: scaleSet.takeRefusal() })),
        instances,
      };
    } catch (cause) {
      signal?.throwIfAborted();
      throw this.#unreadable(cause);
    }
  }

  async scaleOut(pool: string, total: number): Promise<Outcome> {
    this.#last = null;
    return this.#scaleSet(pool).scaleOut(total);
  }

  async remove(pool: string, instanceIds: readonly string[]): Promise<Outcome> {
    this.#last = null;
    return this.#scaleSet(pool).remove(instanceIds);
  }

  #scaleSet(pool: string): ScaleSet {
    const scaleSet = this.#scaleSets.find(({ name }) => name === pool);
    if (scaleSet === undefined) throw new Error(`there is no pool named ${pool}`);
    return scaleSet;
  }

  #unreadable(cause: unknown): FleetUnreadable {
    const refusal = refusalOf(armFailureOf(cause, this.#clock.now().getTime()), null);
    const error = new FleetUnreadable(refusal, cause);
    if (refusal.reason === 'throttled' && refusal.retryAfterMs !== null) {
      const waitMs = Math.min(refusal.retryAfterMs, UNREAD_MAX_MS);
      this.#unread = { untilMs: this.#clock.monotonicMs() + waitMs, error };
    }
    return error;
  }
}
