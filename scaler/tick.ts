/**
 * One tick: observe, decide, and, where this scaler leads, act and tidy up. Everybody observes and decides, so that everybody can
 * answer what the fleet is doing and why; who takes over has seen it all.
 *
 *   observe → decide → (leading) act → remember → publish
 *
 * What is remembered goes to Redis, best effort: a scaler that takes over goes on from there, or learns it again.
 */
import type { Ledger } from '../shared/redis/ledger.ts';
import type { SpendingSoFar } from '../shared/redis/spending.ts';
import { within } from '../shared/runtime/within.ts';
import { type ActParts, act } from './act/act.ts';
import { tidy } from './act/tidy.ts';
import { chargeCosts } from './costs/costs.ts';
import { isPaidFor } from './costs/share-cost.ts';
import { recordOutcome } from './decide/blocked-pools.ts';
import { decide } from './decide/decide.ts';
import type { ScalingDecision } from './decide/decision.ts';
import { type Memory, NOTHING_REMEMBERED, parseMemory } from './decide/memory.ts';
import type { Leadership } from './leader.ts';
import type { ScalerMetrics } from './metrics.ts';
import type { Observation } from './observe/observation.ts';
import { type ObserveParts, observe } from './observe/observe.ts';
import { isExpired } from './override/document.ts';
import type { Policy } from './policy.ts';
import type { ScalerState } from './scaler-state.ts';

/** Each call to Redis or storage that is not part of the observation. */
const CALL_MS = 5_000;
const STALE_MS_MIN = 60_000;

export interface TickParts extends ObserveParts, Omit<ActParts, 'onOutcome' | 'onRemoved'> {
  readonly leader: Leadership;
  readonly ledger: Ledger;
  readonly state: ScalerState;
  readonly policy: Policy;
  readonly tickMs: number;
  readonly metrics: ScalerMetrics;
}

/** What was seen and decided at one moment. */
export interface Tick {
  readonly observation: Observation;
  readonly decision: ScalingDecision;
  /** Before it: the same function gives the same answer to the same question. */
  readonly memory: Memory;
  /** After it. */
  readonly remembered: Memory;
  readonly spending: SpendingSoFar | null;
  readonly isLeading: boolean;
}

export class ScalerLoop {
  readonly #parts: TickParts;
  readonly #first = Promise.withResolvers<Tick>();
  #memory: Memory | null = null;
  #wasLeading = false;
  #last: Tick | null = null;
  #lastTold = '';
  #lastTickAtMs: number;

  constructor(parts: TickParts) {
    this.#parts = parts;
    this.#lastTickAtMs = parts.clock.monotonicMs();
  }

  /** The last tick; waits for the first. */
  async last(): Promise<Tick> {
    return this.#last ?? this.#first.promise;
  }

  /** Returns how long to rest. */
  async pass(): Promise<number> {
    const { leader, metrics, clock, policy, tickMs } = this.#parts;
    const isLeading = leader.isLeading;
    const memory = await this.#recall(isLeading);
    const observation = await observe(this.#parts);
    const { decision, memory: decided } = decide(observation, policy, memory);
    this.#memory = decided;
    this.#tell(decision, isLeading);
    if (isLeading) await this.#lead(decision, observation);
    const spending = await this.#tried('costs', () =>
      chargeCosts(observation, {
        spending: this.#parts.spending,
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

  /** Whether the loop still turns: several ticks without one mean that it hangs. */
  isTurning(): boolean {
    const { clock, tickMs } = this.#parts;
    return clock.monotonicMs() - this.#lastTickAtMs < Math.max(STALE_MS_MIN, tickMs * 5);
  }

  /** A new leader goes on from what the last one has saved. */
  async #recall(isLeading: boolean): Promise<Memory> {
    const takesOver = isLeading && !this.#wasLeading;
    this.#wasLeading = isLeading;
    if (this.#memory !== null && !takesOver) return this.#memory;
    const saved = await this.#tried('memory', () => this.#parts.state.memory());
    return parseMemory(saved) ?? this.#memory ?? NOTHING_REMEMBERED;
  }

  async #lead(decision: ScalingDecision, observation: Observation): Promise<void> {
    const { ledger, state, policy, blobs, overrides, metrics } = this.#parts;
    await act(decision, observation, {
      ...this.#parts,
      onOutcome: (pool, outcome) => {
        this.#memory = recordOutcome(this.#memory ?? NOTHING_REMEMBERED, pool, outcome, observation.atMs);
      },
      onRemoved: metrics.removed,
    });
    const engines = instancesAtWork(decision, observation) * policy.enginesPerInstance;
    await Promise.all([
      this.#tried('memory', () => state.saveMemory(this.#memory)),
      this.#tried('engines', () => ledger.recordEngines(engines)),
      this.#tried('leftovers', () => tidy(observation, blobs)),
      this.#tried('override', () => endOverride(observation, overrides)),
    ]);
  }

  /** Best effort: what fails is logged, and tried again at the next tick. */
  async #tried<T>(what: string, call: () => Promise<T>): Promise<T | null> {
    const { clock, signal, log } = this.#parts;
    try {
      return await within(call, { clock, boundMs: CALL_MS, signal });
    } catch (error) {
      if (!signal.aborted) log.warn({ error, what }, 'not done this time');
      return null;
    }
  }

  /** Every tick is a line for whoever looks closely; a change is one for everybody. */
  #tell({ reason, capacityDesired, actions, numbers }: ScalingDecision, isLeading: boolean): void {
    const line = { reason, capacityDesired, actions: actions.map(({ kind }) => kind), isLeading, ...numbers };
    const told = `${reason} ${capacityDesired} ${isLeading}`;
    if (told === this.#lastTold) this.#parts.log.debug(line, 'tick');
    else this.#parts.log.info(line, 'decision');
    this.#lastTold = told;
  }
}

async function endOverride({ override, now }: Observation, overrides: TickParts['overrides']): Promise<void> {
  if (override === null || override === 'unknown' || !isExpired(override, now)) return;
  await overrides.removeExpired(now);
}

/** For dispatch: those that work or will; one to begin with, where there are none yet. */
function instancesAtWork({ capacityDesired }: ScalingDecision, { fleet }: Observation): number {
  if (fleet === null) return capacityDesired;
  return Math.max(fleet.instances.filter(isPaidFor).length, Math.min(1, capacityDesired));
}
