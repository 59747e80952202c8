/**
 * One episode, drawn from dice before it begins: what work arrives, what the cloud does to the fleet, which signals lie, what people
 * ask for, and how scalers come and go. PURE: data and how it is drawn. Times are virtual ms from the beginning.
 *
 * Trouble ends at `calmAtMs`; what comes after is a healthy system that has to finish its work and go back to zero.
 */
import { POLICY_DEFAULTS, type Policy, checkedPolicy } from '../../../scaler/policy.ts';
import type { Dice } from './dice.ts';

export interface ArrivingJob {
  readonly atMs: number;
  readonly batches: number;
  /** What one batch takes one engine. */
  readonly batchMs: number;
  readonly framesPerBatch: number;
  readonly splitMs: number;
}

interface Span {
  readonly fromMs: number;
  readonly untilMs: number;
}

/**
 * storage-away    workers reach no storage: no heartbeat, no renewal, no receive
 * beats-held      their heartbeats are not written, everything else is
 * queue-unread    the scaler cannot read what is named
 * ledger-unread
 * workers-unread
 * fleet-unread
 * drains-unread
 * override-unread
 * queue-high      the count is several times what it should be
 * no-spot         the cloud has no spot machines
 * quota           and no more of any than so many
 * throttled       the cloud answers nothing but 429
 * unreachable
 * broken-image    whatever is made now never comes up
 * evictions       spot machines are taken one after the other
 */
const TROUBLES = [
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
export type TroubleKind = (typeof TROUBLES)[number];

export interface Trouble extends Span {
  readonly kind: TroubleKind;
  /** Of the workers, for those that concern workers: 1 is all of them. */
  readonly share: number;
}

export interface AskedOverride extends Span {
  readonly mode: 'fixed' | 'min' | 'max' | 'pause';
  readonly capacity: number;
}

export interface Scenario {
  readonly policy: Policy;
  readonly tickMs: number;
  readonly calmAtMs: number;
  readonly endAtMs: number;
  readonly jobs: readonly ArrivingJob[];
  readonly troubles: readonly Trouble[];
  readonly overrides: readonly AskedOverride[];
  readonly pools: readonly { readonly name: string; readonly kind: 'spot' | 'on-demand' | 'local' }[];
  readonly bootMs: number;
  /** Of instances, for each: that it never boots, hangs one day, fails what others score, is called failed while it works. */
  readonly neverBoots: number;
  readonly hangs: number;
  readonly faulty: number;
  readonly calledFailed: number;
  readonly quota: number;
  /** An evicted machine is switched off and stays in the list. */
  readonly isDeallocated: boolean;
  readonly scalers: 1 | 2;
  readonly skewMs: number;
  /** At each tick: that the scaler is another process, with nothing remembered. */
  readonly forgets: number;
  /** Of drain requests: that it does not get written. */
  readonly requestsLost: number;
  /** From deciding to acting, at most. */
  readonly actLagMs: number;
}

const MINUTE_MS = 60_000;

export function drawScenario(dice: Dice): Scenario {
  const isLarge = dice.chance(0.006);
  const capacityMax = isLarge ? dice.whole(200, 1000) : dice.whole(1, 16);
  const hasTwoPools = dice.chance(0.6);
  const calmAtMs = dice.between(15, isLarge ? 20 : 60) * MINUTE_MS;
  const hasMoneyBound = !isLarge && dice.chance(0.3);
  const policy = checkedPolicy({
    ...POLICY_DEFAULTS,
    capacityMax,
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
    troubles: Array.from({ length: dice.whole(0, 5) }, () => drawTrouble(dice, calmAtMs)),
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

function drawTrouble(dice: Dice, calmAtMs: number): Trouble {
  const fromMs = dice.between(0, calmAtMs * 0.9);
  const untilMs = Math.min(calmAtMs, fromMs + dice.spread(20_000, 30 * MINUTE_MS));
  return { kind: dice.pick(TROUBLES), fromMs, untilMs, share: dice.pick([0.1, 0.5, 1, 1]) };
}

function drawOverride(
  dice: Dice,
  { calmAtMs, capacityMax }: { readonly calmAtMs: number; readonly capacityMax: number },
): AskedOverride {
  const fromMs = dice.between(0, calmAtMs * 0.9);
  const untilMs = Math.min(calmAtMs, fromMs + dice.spread(MINUTE_MS, 40 * MINUTE_MS));
  const mode = dice.pick(['fixed', 'min', 'max', 'pause']);
  return { mode, capacity: dice.whole(0, capacityMax), fromMs, untilMs };
}
