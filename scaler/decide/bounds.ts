/**
 * How small and how large the fleet may be, by the policy and by the override in force. PURE.
 *
 *   none   capacityMin .. capacityMax        min n   at least n .. capacityMax
 *   fixed  n .. n                            max n   capacityMin .. n
 *   pause  0 .. 0                            and nothing above capacityMax, whoever asks
 *
 * An override ends by itself. While it cannot be read, the last one known holds until its end.
 */
import type { Observation } from '../observe/observation.ts';
import type { Policy } from '../policy.ts';
import type { Memory, RememberedOverride } from './memory.ts';

export interface Bounds {
  readonly floor: number;
  readonly ceiling: number;
  /** Whether a person has set the ceiling: then it holds at once, for those at work too. */
  readonly isCeilingAsked: boolean;
  readonly override: RememberedOverride | null;
}

/** The override that holds now, and is to be remembered. */
export function overrideInForce(
  { override, now }: Pick<Observation, 'override' | 'now'>,
  memory: Memory,
): RememberedOverride | null {
  const known: RememberedOverride | null =
    override === 'unknown'
      ? memory.override
      : override && {
          mode: override.mode,
          capacity: override.capacity,
          reason: override.reason,
          author: override.author,
          expiresAtMs: override.expiresAt.getTime(),
        };
  return known !== null && known.expiresAtMs > now.getTime() ? known : null;
}

export function boundsOf(
  override: RememberedOverride | null,
  { capacityMin, capacityMax }: Pick<Policy, 'capacityMin' | 'capacityMax'>,
): Bounds {
  const asked = Math.min(capacityMax, Math.max(0, override?.capacity ?? 0));
  switch (override?.mode) {
    case undefined:
      return { floor: capacityMin, ceiling: capacityMax, isCeilingAsked: false, override };
    case 'fixed':
      return { floor: asked, ceiling: asked, isCeilingAsked: true, override };
    case 'min':
      return { floor: Math.max(capacityMin, asked), ceiling: capacityMax, isCeilingAsked: false, override };
    case 'max':
      return { floor: Math.min(capacityMin, asked), ceiling: asked, isCeilingAsked: true, override };
    case 'pause':
      return { floor: 0, ceiling: 0, isCeilingAsked: true, override };
  }
}
