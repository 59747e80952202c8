/**
 * The plan of one episode, drawn at random before it begins: the jobs, what the cloud does, which signals are wrong, the overrides, and
 * how scalers come and go. PURE: data, and how it is drawn. Times are virtual ms from the beginning.
 *
 * The faults end at `calmAtMs`. From then on a healthy system has to finish its work and go to zero.
 */
import { POLICY_DEFAULTS, type Policy, checkedPolicy } from '../../../scaler/policy.ts';
import type { ScheduleWindow } from '../../../scaler/schedule.ts';
import type { Dice } from './dice.ts';

export interface ArrivingJob {
  readonly atMs: number;
  readonly batches: number;
  /** Time that one engine takes for one batch. */
  readonly batchMs: number;
  readonly framesPerBatch: number;
  readonly splitMs: number;
}

interface Span {
  readonly fromMs: number;
  readonly untilMs: number;
}

/**
 * storage-away    workers cannot reach storage: no heartbeat, no renewal, no receive
 * beats-held      workers cannot write heartbeats; everything else works
 * queue-unread    the scaler cannot read the queue (and so on)
 * ledger-unread
 * workers-unread
 * fleet-unread
 * drains-unread
 * override-unread
 * queue-high      the message count is several times too high
 * no-spot         the cloud has no spot machines
 * quota           the cloud refuses totals above a quota
 * throttled       the cloud answers every call with 429
 * unreachable
 * broken-image    new machines never come up
 * evictions       spot machines are evicted one after the other
 */
const SIMULATED_FAULTS = [
  'storage-away',
  'beats-held',
  'queue-unread',
  'ledger-unread',
  'workers-unread',
  'fleet-unread',
  'drains-unread',
  'override-unread',
  'queue-high',
  'no-spot',
  'quota',
  'throttled',
  'unreachable',
  'broken-image',
  'evictions',
] as const;
export type SimulatedFaultKind = (typeof SIMULATED_FAULTS)[number];

export interface SimulatedFault extends Span {
  readonly kind: SimulatedFaultKind;
  /** Share of the workers that it affects, if it affects workers. */
  readonly share: number;
}

export interface SimulatedOverride extends Span {
  readonly mode: 'fixed' | 'min' | 'max' | 'pause';
  readonly capacity: number;
}

export interface Scenario {
  readonly policy: Policy;
  readonly tickMs: number;
  readonly calmAtMs: number;
  readonly endAtMs: number;
  readonly jobs: readonly ArrivingJob[];
  readonly faults: readonly SimulatedFault[];
  readonly overrides: readonly SimulatedOverride[];
  readonly pools: readonly { readonly name: string; readonly kind: 'spot' | 'on-demand' | 'local' }[];
  readonly bootMs: number;
  /** Probabilities for each instance: it never boots, hangs, fails frames that others score, or is reported as failed while it works. */
  readonly neverBoots: number;
  readonly hangs: number;
  readonly faulty: number;
  readonly calledFailed: number;
  readonly quota: number;
  /** Evicted machines are switched off and stay listed. */
  readonly isDeallocated: boolean;
  readonly scalers: 1 | 2;
  readonly skewMs: number;
  /** Probability at each tick that the scaler restarts without its memory. */
  readonly forgets: number;
  /** Probability that a drain request is not written. */
  readonly requestsLost: number;
  /** Time between the decision and the action. */
  readonly actLagMs: number;
}

const MINUTE_MS = 60_000;

/** `beginMs`: the wall time at which the episode begins. */
export function drawScenario(dice: Dice, beginMs: number): Scenario {
  const isLarge = dice.chance(0.006);
  const capacityMax = isLarge ? dice.whole(200, 1000) : dice.whole(1, 16);
  const hasTwoPools = dice.chance(0.6);
  const calmAtMs = dice.between(15, isLarge ? 20 : 60) * MINUTE_MS;
  const hasMoneyBound = !isLarge && dice.chance(0.3);
  const policy = checkedPolicy({
    ...POLICY_DEFAULTS,
    capacityMax,
    schedule: dice.chance(0.2) ? [drawWindow(dice, { beginMs, calmAtMs, capacityMax })] : [],
    onDemandBase: hasTwoPools && dice.chance(0.3) ? dice.whole(1, 2) : 0,
    pricePerHour: hasTwoPools ? { spot: 1.1, 'on-demand': 3.67 } : { local: 1 },
    spendingPerHourMax: hasMoneyBound ? dice.between(1, 1.5 * capacityMax) + 3.67 : null,
  });
  return {
    policy,
    tickMs: dice.pick([5_000, 10_000, 10_000, 15_000]),
    calmAtMs,
    endAtMs: calmAtMs + 12 * 60 * MINUTE_MS,
    jobs: drawJobs(dice, { calmAtMs, isLarge }),
    faults: Array.from({ length: dice.whole(0, 5) }, () => drawFault(dice, calmAtMs)),
    overrides: Array.from({ length: dice.chance(0.4) ? dice.whole(1, 2) : 0 }, () =>
      drawOverride(dice, { calmAtMs, capacityMax }),
    ),
    pools: hasTwoPools
      ? [
          { name: 'spot', kind: 'spot' },
          { name: 'on-demand', kind: 'on-demand' },
        ]
      : [{ name: 'local', kind: 'local' }],
    bootMs: dice.spread(20_000, 540_000),
    neverBoots: dice.chance(0.3) ? 0.2 : 0,
    hangs: dice.chance(0.3) ? 0.1 : 0,
    faulty: dice.chance(0.2) ? 0.15 : 0,
    calledFailed: dice.chance(0.2) ? 0.2 : 0,
    quota: dice.whole(0, capacityMax),
    isDeallocated: dice.chance(0.5),
    scalers: dice.chance(0.3) ? 2 : 1,
    skewMs: dice.between(-4_000, 4_000),
    forgets: dice.chance(0.3) ? 0.02 : 0,
    requestsLost: 0.01,
    actLagMs: dice.chance(0.7) ? dice.between(0, 4_000) : 0,
  };
}

function drawJobs(
  dice: Dice,
  { calmAtMs, isLarge }: { readonly calmAtMs: number; readonly isLarge: boolean },
): readonly ArrivingJob[] {
  const job = (atMs: number, batches: number): ArrivingJob => ({
    atMs,
    batches: Math.max(1, Math.round(batches)),
    batchMs: dice.spread(2_000, 60_000),
    framesPerBatch: dice.whole(4, 128),
    splitMs: dice.between(0, 90_000),
  });
  if (isLarge) return [job(dice.between(0, MINUTE_MS), dice.between(2_000, 8_000))];
  switch (dice.pick(['burst', 'wave', 'trickle', 'huge'])) {
    case 'burst':
      return Array.from({ length: dice.whole(1, 5) }, () =>
        job(dice.between(0, calmAtMs), dice.spread(1, 80)),
      );
    case 'wave': {
      const periodMs = dice.between(5, 20) * MINUTE_MS;
      const count = Math.ceil(calmAtMs / periodMs);
      return Array.from({ length: count }, (_, index) => job(index * periodMs, dice.spread(4, 60)));
    }
    case 'trickle':
      return Array.from({ length: dice.whole(4, 14) }, () =>
        job(dice.between(0, calmAtMs), dice.spread(1, 6)),
      );
    case 'huge':
      return [job(dice.between(0, calmAtMs / 2), dice.spread(100, 400))];
  }
}

function drawFault(dice: Dice, calmAtMs: number): SimulatedFault {
  const fromMs = dice.between(0, calmAtMs * 0.9);
  const untilMs = Math.min(calmAtMs, fromMs + dice.spread(20_000, 30 * MINUTE_MS));
  return { kind: dice.pick(SIMULATED_FAULTS), fromMs, untilMs, share: dice.pick([0.1, 0.5, 1, 1]) };
}

function drawOverride(
  dice: Dice,
  { calmAtMs, capacityMax }: { readonly calmAtMs: number; readonly capacityMax: number },
): SimulatedOverride {
  const fromMs = dice.between(0, calmAtMs * 0.9);
  const untilMs = Math.min(calmAtMs, fromMs + dice.spread(MINUTE_MS, 40 * MINUTE_MS));
  const mode = dice.pick(['fixed', 'min', 'max', 'pause']);
  return { mode, capacity: dice.whole(0, capacityMax), fromMs, untilMs };
}

/** A window that ends before the episode is calm. It would open again after a day, when the episode is over. */
function drawWindow(
  dice: Dice,
  {
    beginMs,
    calmAtMs,
    capacityMax,
  }: { readonly beginMs: number; readonly calmAtMs: number; readonly capacityMax: number },
): ScheduleWindow {
  const from = new Date(beginMs + dice.between(0, calmAtMs * 0.7));
  const minutesMax = Math.max(1, Math.floor((beginMs + calmAtMs - from.getTime()) / MINUTE_MS) - 1);
  return {
    start: `${from.getUTCMinutes()} ${from.getUTCHours()} * * *`,
    durationMs: dice.whole(1, minutesMax) * MINUTE_MS,
    timeZone: 'UTC',
    capacity: dice.whole(1, capacityMax),
  };
}
