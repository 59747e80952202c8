/**
 * How large the fleet should be. PURE: an observation, the policy and what was remembered give a decision with its reason
 * and the numbers that led to it. The same function answers in production, in tests and in simulation.
 *
 *   work there is            → enough instances to drain it within the target time, never more than there are batches to
 *                              share, in one call                                             (scale-out, or hold)
 *   a reading is missing     → hold: an unknown is never taken for zero
 *   nothing, twice in a row  → after the idle time, remove the instances that do not say they are busy
 */
import type { Backlog, Observation } from './observe.ts';
import type { Policy } from './policy.ts';

export const REASONS = [
  'work-waits',
  'enough-at-work',
  'capacity-reached',
  'observation-incomplete',
  'zero-not-confirmed',
  'idle-window',
  'idle-too-long',
  'nothing-to-do',
] as const;
export type Reason = (typeof REASONS)[number];

type Action =
  | { readonly kind: 'hold' }
  | { readonly kind: 'scale-out'; readonly total: number }
  | { readonly kind: 'remove'; readonly vmIds: readonly string[] };

export interface Decision {
  readonly action: Action;
  readonly reason: Reason;
  readonly capacityDesired: number;
  /** What led to it, for logs and metrics. */
  readonly numbers: Readonly<Record<string, number | null>>;
}

export interface Memory {
  /** Readings in a row in which there was nothing to do. */
  readonly zeroReadings: number;
  /** Since when, in monotonic ms; null while there is work. */
  readonly idleSinceMs: number | null;
}

export const NOTHING_REMEMBERED: Memory = { zeroReadings: 0, idleSinceMs: null };

/** Zero is believed when it was read this often. */
const ZERO_READINGS_MIN = 2;

export function decide(
  { atMs, messagesApprox, backlog, instances, heartbeats }: Observation,
  policy: Policy,
  memory: Memory,
): { readonly decision: Decision; readonly memory: Memory } {
  const running = instances?.length ?? null;
  const numbers = {
    messagesApprox,
    framesRemaining: backlog?.framesRemaining ?? null,
    engineSecondsRemaining: backlog?.engineSecondsRemaining ?? null,
    jobsOpen: backlog?.jobsOpen ?? null,
    instances: running,
    idleMs: memory.idleSinceMs === null ? 0 : atMs - memory.idleSinceMs,
  };
  const hold = (reason: Reason, remembered: Memory, capacityDesired = running ?? 0) => ({
    decision: { action: { kind: 'hold' } as const, reason, capacityDesired, numbers },
    memory: remembered,
  });

  if (running === null || instances === null) return hold('observation-incomplete', memory);

  // Any sign of work will do to grow; only all signs together will do to shrink.
  const signs = [messagesApprox ?? 0, backlog?.framesRemaining ?? 0, backlog?.jobsOpen ?? 0];
  if (signs.some((sign) => sign > 0)) {
    const wanted = capacityFor({ messagesApprox, backlog, policy });
    const total = Math.min(wanted, policy.capacityMax);
    if (total <= running) {
      const reason = wanted > policy.capacityMax ? 'capacity-reached' : 'enough-at-work';
      return hold(reason, NOTHING_REMEMBERED, total);
    }
    return {
      decision: {
        action: { kind: 'scale-out', total },
        reason: 'work-waits',
        capacityDesired: total,
        numbers,
      },
      memory: NOTHING_REMEMBERED,
    };
  }
  if (messagesApprox === null || backlog === null || heartbeats === null) {
    return hold('observation-incomplete', memory);
  }

  const remembered: Memory = {
    zeroReadings: memory.zeroReadings + 1,
    idleSinceMs: memory.idleSinceMs ?? atMs,
  };
  if (running === 0) return hold('nothing-to-do', remembered, 0);
  if (remembered.zeroReadings < ZERO_READINGS_MIN) return hold('zero-not-confirmed', remembered);
  if (atMs - (remembered.idleSinceMs ?? atMs) < policy.idleMs) return hold('idle-window', remembered);
  const idle = instances.filter(({ vmId }) => heartbeats.get(vmId)?.state !== 'busy').map(({ vmId }) => vmId);
  if (idle.length === 0) return hold('zero-not-confirmed', remembered);
  return {
    decision: {
      action: { kind: 'remove', vmIds: idle },
      reason: 'idle-too-long',
      capacityDesired: running - idle.length,
      numbers,
    },
    memory: remembered,
  };
}

/**
 * Instances that drain the backlog within the target time at the measured rate: at least one, never more than there are
 * batches to share out. Without the ledger the queue alone must do: an instance a message.
 */
function capacityFor({
  messagesApprox,
  backlog,
  policy,
}: {
  readonly messagesApprox: number | null;
  readonly backlog: Backlog | null;
  readonly policy: Policy;
}): number {
  const messages = messagesApprox ?? 0;
  if (backlog === null) return Math.max(1, messages);
  const inTime = Math.ceil((backlog.engineSecondsRemaining * 1000) / policy.drainTargetMs);
  return Math.max(1, Math.min(inTime, Math.max(backlog.batchesRemaining, messages)));
}
