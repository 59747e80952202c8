/** One tick: observe, decide, act. Logs a line when the decision's reason changes, and counts every tick. */
import type { Ledger } from '../shared/control/ledger.ts';
import { act } from './act.ts';
import { type Memory, NOTHING_REMEMBERED, type Reason, decide } from './decide.ts';
import type { ScalerMetrics } from './metrics.ts';
import { type ObserveParts, observe } from './observe.ts';
import type { Policy } from './policy.ts';

export interface TickParts extends ObserveParts {
  readonly ledger: Ledger;
  readonly policy: Policy;
  readonly tickMs: number;
  readonly metrics: ScalerMetrics;
}

export class ScalerLoop {
  readonly #parts: TickParts;
  #memory: Memory = NOTHING_REMEMBERED;
  #lastReason: Reason | null = null;
  #lastTickAtMs: number;

  constructor(parts: TickParts) {
    this.#parts = parts;
    this.#lastTickAtMs = parts.clock.monotonicMs();
  }

  /** Returns how long to rest. */
  async pass(): Promise<number> {
    const { ledger, policy, tickMs, metrics, clock, log } = this.#parts;
    const observation = await observe(this.#parts);
    const { decision, memory } = decide(observation, policy, this.#memory);
    this.#memory = memory;
    if (decision.reason !== this.#lastReason) {
      log.info(
        { reason: decision.reason, capacityDesired: decision.capacityDesired, ...decision.numbers },
        'decision',
      );
      this.#lastReason = decision.reason;
    }
    await act(decision, this.#parts);
    metrics.tick(observation, decision);
    await ledger.recordEngines(decision.capacityDesired);
    this.#lastTickAtMs = clock.monotonicMs();
    return tickMs;
  }

  /** Whether the loop still turns: several ticks without one mean that it hangs. */
  isTurning(): boolean {
    const { clock, tickMs } = this.#parts;
    return clock.monotonicMs() - this.#lastTickAtMs < Math.max(60_000, tickMs * 5);
  }
}
