/**
 * How many machines the scaler starts for some work. PURE. Shared, so that an estimate names the number that the scaler will choose.
 *
 *   in time        = ⌈engine-seconds / (drain target × engines per machine)⌉
 *   worth booting  = ⌊engine-seconds / (boot time × engines per machine)⌋    each works for longer than it takes to boot
 *   with a batch   = ⌈batches / engines per machine⌉                         each finds a batch
 *   wanted         = max(1, minimum of the three)
 */

/** Tolerance for a quotient that should be whole, against rounding of doubles. */
const EPSILON = 1e-9;
/** Ten times the largest scale set. A larger demand comes from a wrong reading. */
const WANTED_MAX = 10_000;

export interface FleetWork {
  readonly engineSeconds: number;
  readonly batches: number;
}

export interface MachineTimes {
  readonly drainTargetSeconds: number;
  readonly bootSeconds: number;
  readonly enginesPerMachine: number;
}

export interface MachinesWanted {
  readonly inTime: number;
  readonly worthBooting: number;
  readonly withBatch: number;
  /** At least one: the caller knows whether there is any work. */
  readonly wanted: number;
}

export function machinesWanted({ engineSeconds, batches }: FleetWork, times: MachineTimes): MachinesWanted {
  const { drainTargetSeconds, bootSeconds, enginesPerMachine } = times;
  const inTime = plausible(Math.ceil(engineSeconds / (drainTargetSeconds * enginesPerMachine) - EPSILON));
  const worthBooting = plausible(Math.floor(engineSeconds / (bootSeconds * enginesPerMachine) + EPSILON));
  const withBatch = plausible(Math.ceil(batches / enginesPerMachine));
  return { inTime, worthBooting, withBatch, wanted: Math.max(1, Math.min(inTime, worthBooting, withBatch)) };
}

/** Limits a number of machines, so that a wrong reading cannot ask for more. */
function plausible(machines: number): number {
  return Math.min(WANTED_MAX, Math.max(0, machines));
}
