/**
 * One tick of the scaler:
 *
 *   observe → decide → (if leading) act, end an expired override, save the memory, remove leftovers → charge costs, report the engines
 *   to dispatch, publish the measured rates → publish metrics
 *
 * Every scaler observes and decides, so that each can answer what the fleet does and why. Only the leader acts. Its memory goes to
 * Redis on a best-effort basis: a scaler that takes over continues from it, or learns it again.
 */
import type { Ledger } from '../shared/redis/ledger.ts';
import type { SpendingSoFar } from '../shared/redis/spending.ts';
import { within } from '../shared/runtime/within.ts';
import { type ActServices, act } from './act/act.ts';
import { removeLeftovers } from './act/leftovers.ts';
import { chargeCosts } from './costs/costs.ts';
import { recordOutcome } from './decide/blocked-pools.ts';
import { instancesForDispatch } from './decide/capacity.ts';
import { decide } from './decide/decide.ts';
import type { ScalingDecision } from './decide/decision.ts';
import { type Memory, INITIAL_MEMORY, parseMemory, toSavedMemory } from './decide/memory.ts';
import type { Leadership } from './leader.ts';
import type { ScalerMetrics } from './metrics.ts';
import type { Observation } from './observe/observation.ts';
import { type ObserveServices, observe } from './observe/observe.ts';
import { isExpired } from './override/document.ts';
import type { Policy } from './policy.ts';
import type { RatesPublisher } from './rates.ts';
import type { ScalerState } from './scaler-state.ts';

/** Bound of each call to Redis or storage outside the observation. */
const CALL_MS = 5_000;
/** A loop without a tick for this long, and for five ticks, hangs. */
const STALE_MS_MIN = 60_000;

export interface ScalerLoopOptions extends ObserveServices, Omit<ActServices, 'onOutcome' | 'onRemoved'> {
  readonly leader: Leadership;
  readonly ledger: Ledger;
  readonly state: ScalerState;
  readonly rates: RatesPublisher;
  readonly policy: Policy;
  readonly tickMs: number;
  readonly metrics: ScalerMetrics;
}

/** The observation and the decision of one tick. */
export interface Tick {
  readonly observation: Observation;
  readonly decision: ScalingDecision;
  /** Before the decision, so that `explain` can decide again. */
  readonly memory: Memory;
  /** After the decision. */
  readonly remembered: Memory;
  readonly spending: SpendingSoFar | null;
  readonly isLeading: boolean;
}

export class ScalerLoop {
  readonly #options: ScalerLoopOptions;
  readonly #first = Promise.withResolvers<Tick>();
  #memory: Memory | null = null;
  #wasLeading = false;
  #last: Tick | null = null;
  #lastLogged = '';
  #lastTickAtMs: number;

  constructor(options: ScalerLoopOptions) {
    this.#options = options;
    this.#lastTickAtMs = options.clock.monotonicMs();
  }

  /** The last tick. Waits for the first one. */
  async last(): Promise<Tick> {
    return this.#last ?? this.#first.promise;
  }

  /** Runs one tick and returns how long to rest after it. */
  async pass(): Promise<number> {
    const { leader, metrics, clock, policy, tickMs } = this.#options;
    const isLeading = leader.isLeading;
    const memory = await this.#recall(isLeading);
    const observation = await observe(this.#options);
    const { decision, memory: decided } = decide(observation, policy, memory);
    this.#memory = decided;
    this.#log(decision, isLeading);
    if (isLeading) await this.#lead(decision, observation);
    const spending = await this.#tryStep('costs', () =>
      chargeCosts(observation, {
        spending: this.#options.spending,
        pricePerHour: policy.pricePerHour,
        isLeading: leader.isLeading,
      }),
    );
    this.#last = { observation, decision, memory, remembered: this.#memory, spending, isLeading };
    this.#first.resolve(this.#last);
    metrics.tick(this.#last, policy);
    this.#lastTickAtMs = clock.monotonicMs();
    return tickMs;
  }

  /** Whether the loop still runs ticks, for the liveness probe. */
  isTicking(): boolean {
    const { clock, tickMs } = this.#options;
    return clock.monotonicMs() - this.#lastTickAtMs < Math.max(STALE_MS_MIN, tickMs * 5);
  }

  /** A new leader continues from what the last one has saved. */
  async #recall(isLeading: boolean): Promise<Memory> {
    const takesOver = isLeading && !this.#wasLeading;
    this.#wasLeading = isLeading;
    if (this.#memory !== null && !takesOver) return this.#memory;
    const saved = await this.#tryStep('memory', () => this.#options.state.memory());
    return parseMemory(saved) ?? this.#memory ?? INITIAL_MEMORY;
  }

  async #lead(decision: ScalingDecision, observation: Observation): Promise<void> {
    const { ledger, state, rates, policy, blobs, overrides, metrics } = this.#options;
    await act(decision, observation, {
      ...this.#options,
      onOutcome: (pool, outcome) => {
        this.#memory = recordOutcome(this.#memory ?? INITIAL_MEMORY, pool, outcome, observation.atMs);
      },
      onRemoved: metrics.removed,
    });
    const engines = instancesForDispatch(decision, observation) * policy.enginesPerInstance;
    await Promise.all([
      this.#tryStep('memory', () => state.saveMemory(this.#memory && toSavedMemory(this.#memory))),
      this.#tryStep('engines', () => ledger.recordEngines(engines)),
      this.#tryStep('rates', () => rates.publish(observation, policy)),
      this.#tryStep('leftovers', () => removeLeftovers(observation, blobs)),
      this.#tryStep('override', () => endOverride(observation, overrides)),
    ]);
  }

  /** A failure is logged; the next tick tries again. */
  async #tryStep<T>(what: string, call: () => Promise<T>): Promise<T | null> {
    const { clock, signal, log } = this.#options;
    try {
      return await within(call, { clock, boundMs: CALL_MS, signal });
    } catch (error) {
      if (!signal.aborted) log.warn({ error, what }, 'tick step failed: will retry on the next tick');
      return null;
    }
  }

  /** Logs a changed decision at level info, any other tick at level debug. */
  #log({ reason, capacityDesired, actions, numbers }: ScalingDecision, isLeading: boolean): void {
    const line = { reason, capacityDesired, actions: actions.map(({ kind }) => kind), isLeading, ...numbers };
    const summary = `${reason} ${capacityDesired} ${isLeading}`;
    if (summary === this.#lastLogged) this.#options.log.debug(line, 'tick');
    else this.#options.log.info(line, 'decision');
    this.#lastLogged = summary;
  }
}

async function endOverride(
  { override, now }: Observation,
  overrides: ScalerLoopOptions['overrides'],
): Promise<void> {
  if (override === null || override === 'unknown' || !isExpired(override, now)) return;
  await overrides.removeExpired(now);
}
