/**
 * A fleet of uniform scale sets on Azure, in the order in which the scaler fills them.
 *
 * A snapshot contains complete reads only: if one read fails, `look` throws.
 *
 * Azure allows ten lists of a scale set's instances per minute. A snapshot is therefore reused for 13 seconds, or until the next
 * change, so that two scalers can run side by side. If Azure throttles reads anyway, no read is made for as long as Azure asks,
 * but for five minutes at most: a fleet that the scaler does not see cannot shrink and costs money.
 */
import type { Clock } from '../../shared/runtime/clock.ts';
import { refusalFrom } from './arm-errors.ts';
import { armFailureOf } from './arm-failure.ts';
import { ComputeCalls, type ComputeOptions } from './compute-calls.ts';
import { type Fleet, FleetUnreadable, type FleetSnapshot, type Outcome } from './fleet.ts';
import { ScaleSet } from './scale-set.ts';

/** Two scalers then read nine times per minute. Reads after a change come on top; Azure allows bursts of 30. */
const SNAPSHOT_AGE_MS_MAX = 13_000;
const READ_PAUSE_MS_MAX = 5 * 60_000;

export interface ScaleSetPool {
  /** The name of the scale set. */
  readonly name: string;
  readonly kind: 'spot' | 'on-demand';
}

export interface AzureFleetOptions {
  readonly pools: readonly ScaleSetPool[];
  readonly compute: ComputeOptions;
  readonly clock: Clock;
}

export class AzureScaleSets implements Fleet {
  readonly #clock: Clock;
  readonly #scaleSets: readonly ScaleSet[];
  #last: { readonly snapshot: FleetSnapshot; readonly atMs: number } | null = null;
  /** Set while Azure throttles reads. */
  #readPause: { readonly untilMs: number; readonly error: FleetUnreadable } | null = null;

  constructor({ pools, compute, clock }: AzureFleetOptions) {
    const calls = new ComputeCalls(compute);
    this.#clock = clock;
    this.#scaleSets = pools.map(({ name, kind }) => new ScaleSet({ name, kind, calls, clock }));
  }

  async look(signal?: AbortSignal): Promise<FleetSnapshot> {
    signal?.throwIfAborted();
    const atMs = this.#clock.monotonicMs();
    if (this.#readPause !== null && atMs < this.#readPause.untilMs) throw this.#readPause.error;
    if (this.#last !== null && atMs - this.#last.atMs < SNAPSHOT_AGE_MS_MAX) return this.#last.snapshot;
    try {
      const looks = await Promise.all(
        this.#scaleSets.map(async (scaleSet) => ({ scaleSet, ...(await scaleSet.look(signal)) })),
      );
      const instances = looks.flatMap((one) => one.instances);
      const seen = looks.map(({ pool }) => ({ ...pool, refusal: null }));
      this.#last = { snapshot: { pools: seen, instances }, atMs };
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
    if (scaleSet === undefined) throw new Error(`no pool named ${pool}`);
    return scaleSet;
  }

  #unreadable(cause: unknown): FleetUnreadable {
    const refusal = refusalFrom(armFailureOf(cause, this.#clock.now().getTime()), null);
    const error = new FleetUnreadable(refusal, cause);
    if (refusal.reason === 'throttled' && refusal.retryAfterMs !== null) {
      const waitMs = Math.min(refusal.retryAfterMs, READ_PAUSE_MS_MAX);
      this.#readPause = { untilMs: this.#clock.monotonicMs() + waitMs, error };
    }
    return error;
  }
}
