/**
 * What the scaler remembers from tick to tick. PURE: plain data that goes through JSON and back unchanged.
 *
 * Instants are `Observation.atMs`, which goes on from one process to the next as memory does; `sinceMs` of boots and the override's
 * expiry are by the wall.
 * Nothing in it is needed for safety: whoever has lost it waits longer, asks again, and fails as often again.
 */
import type { BlockReason } from '../fleet/fleet.ts';
import type { Override } from '../observe/observation.ts';
import type { DrainWhy } from './decision.ts';

export interface Memory {
  /** The last one: it holds while the fleet cannot be read. */
  readonly capacityDesired: number;
  /** Readings in a row in which queue and ledger had nothing to do, and nobody was busy. */
  readonly zeroReadings: number;
  /** So many instances, at least, have not been wanted since then. */
  readonly surplus: { readonly sinceMs: number; readonly least: number } | null;
  /** Who is to go and why, by `keyOf` the instance; and since when its drain request has been seen standing. */
  readonly drains: Readonly<Record<string, RememberedDrain>>;
  /** Who beats and says that it is booting: since when, by vmId. */
  readonly unreadySinceMs: Readonly<Record<string, number>>;
  readonly boots: RememberedBoots;
  /** By pool. */
  readonly blocked: Readonly<Record<string, RememberedBlock>>;
  /** When each pool was last asked for something. */
  readonly askedAtMs: Readonly<Record<string, number>>;
  /** The last one that could be read. */
  readonly override: RememberedOverride | null;
}

export interface RememberedDrain {
  /** `asked`: by somebody else, or before this memory began. */
  readonly why: DrainWhy | 'asked';
  readonly standsSinceMs: number | null;
}

export interface RememberedBoots {
  /** Instances in a row that never reported. */
  readonly failures: number;
  /** How often in a row some failed: those that were asked for together fail together. */
  readonly rounds: number;
  /** When the first of them was created: one created later that reports ends the row. */
  readonly sinceMs: number | null;
  readonly lastFailureAtMs: number | null;
}

export interface RememberedBlock {
  readonly reason: BlockReason;
  /** The service's own words. */
  readonly message: string;
  /** Refusals in a row. */
  readonly attempts: number;
  readonly refusedAtMs: number;
  readonly untilMs: number;
  /** This much would be granted: taken at once, and not more until the time is over. */
  readonly capacityThatFits: number | null;
  /** The pool's capacity when it was next seen after the refusal: more than that is a success. */
  readonly capacitySeen: number | null;
}

export type RememberedOverride = Pick<Override, 'mode' | 'capacity' | 'reason' | 'author'> & {
  readonly expiresAtMs: number;
};

export const NOTHING_REMEMBERED: Memory = {
  capacityDesired: 0,
  zeroReadings: 0,
  surplus: null,
  drains: {},
  unreadySinceMs: {},
  boots: { failures: 0, rounds: 0, sinceMs: null, lastFailureAtMs: null },
  blocked: {},
  askedAtMs: {},
  override: null,
};
