/**
 * How many instances there should be: what the work needs, not fewer than are busy, within the bounds. PURE.
 *
 *   engine-seconds = Σ over jobs of frames × megapixels per frame / megapixels per second of one engine with that model
 *   in time        = ⌈engine-seconds / (drain target × engines per instance)⌉
 *   worth booting  = ⌊engine-seconds / (boot time × engines per instance)⌋   each works for longer than it takes to boot
 *   batches        = ⌈batches / engines per instance⌉                        each finds a batch
 *   wanted         = max(1, minimum of the three) if there is any work, else 0
 *
 * Each of the three grows with the backlog in steps of one, so more work never asks for fewer instances. A job with a cap asks for no
 * more than its money buys, and for none once that is spent. Without the ledger, each message counts as a batch of the usual length.
 *
 *   no override   least .. capacityMax        min n      at least n .. capacityMax
 *   fixed n       n .. n                      max n      least .. n
 *   pause         0 .. 0                      schedule   least .. capacityMax, with that schedule
 *
 * `least` is capacityMin, or what the schedule asks for if that is more. Nothing is above capacityMax. A window of the schedule counts
 * from a boot time before its start, so that its instances stand ready when it opens. Instances that are up stay for a window that starts
 * within the longest idle window: to boot them again would cost as much.
 *
 * The form is that of argo-dataflow and KEDA, "enough to drain it within the target time" (their issues 243 and 647). The cold start as
 * a second bound is our addition: without it, a job of ten frames started twenty instances.
 */
import { BATCH_TARGET_SECONDS } from '../../shared/contract/limits.ts';
import { machinesWanted } from '../../shared/contract/machines-wanted.ts';
import { isPaidFor } from '../costs/share-cost.ts';
import { isAtItsCap, secondsAskedFor } from '../costs/spending-cap.ts';
import type { Observation } from '../observe/observation.ts';
import type { Policy } from '../policy.ts';
import { type ScheduledCapacity, scheduledAt } from '../schedule.ts';
import type { DecisionStep, ScalingDecision } from './decision.ts';
import { type Memory, type RememberedOverride, isZeroUnconfirmed } from './memory.ts';
import { type Situation, busyCount, isAllRead } from './situation.ts';

export interface Demand {
  readonly wanted: number;
  readonly hasWork: boolean;
  /** Whether both the queue and the ledger could be read: only then may the fleet shrink. */
  readonly isComplete: boolean;
  readonly framesRemaining: number | null;
  readonly engineSeconds: number | null;
  readonly jobsAtCap: number;
  /** The first few of them. */
  readonly jobIdsCapped: readonly string[];
  readonly steps: readonly DecisionStep[];
}

export interface CapacityBounds {
  readonly floor: number;
  readonly ceiling: number;
  /** What sets the floor. */
  readonly floorBy: 'minimum' | 'schedule' | 'override';
  readonly scheduled: ScheduledCapacity;
  /** Whether an override sets the ceiling: then it applies at once, and to busy instances too. */
  readonly isCeilingOverridden: boolean;
  readonly override: RememberedOverride | null;
}

/** As many job ids as fit on a line. */
const JOBS_NAMED_MAX = 3;
/** No instance boots in less time. */
const BOOT_MS_MIN = 1_000;

/** What a cold start takes: the measured time, limited to the longest idle window. */
export function bootTimeMs(measuredMs: number | null, { idleMsMax, idleMsUnmeasured }: Policy): number {
  return Math.min(idleMsMax, Math.max(BOOT_MS_MIN, measuredMs ?? idleMsUnmeasured));
}

/**
 * The idle window is as long as a cold start takes, because of the ski-rental problem (Karlin, Manasse, Rudolph and Sleator, "Competitive
 * Snoopy Caching", 1988). To wait for as long as a restart costs never costs more than twice what the best choice would have cost, and no
 * rule without a forecast does better.
 */
export function idleWindowMs(
  bootMs: number | null,
  { idleMsMin, idleMsMax, idleMsUnmeasured }: Pick<Policy, 'idleMsMin' | 'idleMsMax' | 'idleMsUnmeasured'>,
): number {
  return Math.min(idleMsMax, Math.max(idleMsMin, bootMs ?? idleMsUnmeasured));
}

export function assessDemand(observation: Observation, policy: Policy, bootMs: number): Demand {
  const { messagesApprox, backlog, ratesByModel } = observation;
  const capped = (backlog ?? []).filter(isAtItsCap);
  const jobs = (backlog ?? []).filter((job) => !isAtItsCap(job));
  // Messages on the queue may belong to capped jobs. Running instances finish them, but none is started for them.
  const cappedMessages = sumOf(capped, ({ messagesMax }) => messagesMax);
  const messages = Math.max(0, (messagesApprox ?? 0) - cappedMessages);
  const framesRemaining = sumOf(jobs, (job) => job.framesRemaining);
  const batches = Math.max(
    messages,
    sumOf(jobs, ({ batchesRemaining }) => batchesRemaining),
  );
  const engineSeconds =
    backlog === null
      ? messages * BATCH_TARGET_SECONDS
      : sumOf(jobs, (job) => secondsAskedFor(job, ratesByModel, policy));
  const hasWork = framesRemaining > 0 || messages > 0 || jobs.some(({ isSplitting }) => isSplitting);

  const { inTime, worthBooting, withBatch, ...machines } = machinesWanted(
    { engineSeconds, batches },
    {
      drainTargetSeconds: policy.drainTargetMs / 1000,
      bootSeconds: bootMs / 1000,
      enginesPerMachine: policy.enginesPerInstance,
    },
  );
  const wanted = hasWork ? machines.wanted : 0;
  return {
    wanted,
    hasWork,
    isComplete: messagesApprox !== null && backlog !== null,
    framesRemaining: backlog === null ? null : framesRemaining,
    engineSeconds: backlog === null && messagesApprox === null ? null : engineSeconds,
    jobsAtCap: capped.length,
    jobIdsCapped: capped.slice(0, JOBS_NAMED_MAX).map(({ jobId }) => jobId),
    steps: [
      {
        name: 'backlog',
        numbers: {
          framesRemaining: backlog === null ? null : framesRemaining,
          batchesRemaining: batches,
          engineSeconds: Math.round(engineSeconds),
        },
      },
      { name: 'queue', numbers: { messages: messagesApprox } },
      ...(capped.length === 0 ? [] : [{ name: 'capped', numbers: { jobs: capped.length } } as const]),
      { name: 'in-time', numbers: { instances: inTime, targetSeconds: policy.drainTargetMs / 1000 } },
      {
        name: 'worth-booting',
        numbers: { instances: Math.max(1, worthBooting), bootSeconds: bootMs / 1000 },
      },
      { name: 'batches', numbers: { instances: withBatch } },
      { name: 'wanted', numbers: { instances: wanted } },
    ],
  };
}

/** The override that applies now. While it cannot be read, the last one known applies until it expires. */
export function overrideToApply(
  { override, now, scheduleAt = now }: Observation,
  { override: remembered }: Memory,
): RememberedOverride | null {
  const known: RememberedOverride | null =
    override === 'unknown'
      ? remembered
      : override && {
          mode: override.mode,
          capacity: override.capacity,
          schedule: override.schedule,
          reason: override.reason,
          author: override.author,
          expiresAtMs: override.expiresAt.getTime(),
        };
  return known !== null && known.expiresAtMs > scheduleAt.getTime() ? known : null;
}

export function boundsOf(
  override: RememberedOverride | null,
  policy: Policy,
  { now, bootMs }: { readonly now: Date; readonly bootMs: number },
): CapacityBounds {
  const { capacityMin, capacityMax, idleMsMax: soonMs } = policy;
  const scheduled = scheduledAt(scheduleInForce(override, policy), now, { bootMs, soonMs });
  const least = Math.min(capacityMax, Math.max(capacityMin, scheduled.capacity));
  const requested = Math.min(capacityMax, Math.max(0, override?.capacity ?? 0));
  const regular = {
    floor: least,
    ceiling: capacityMax,
    floorBy: scheduled.capacity > capacityMin ? 'schedule' : 'minimum',
    isCeilingOverridden: false,
    scheduled,
    override,
  } as const;
  switch (override?.mode) {
    case undefined:
    case 'schedule':
      return regular;
    case 'fixed':
      return { ...regular, ...exactly(requested) };
    case 'min':
      return requested > least ? { ...regular, floor: requested, floorBy: 'override' } : regular;
    case 'max':
      return {
        ...regular,
        floor: Math.min(least, requested),
        ceiling: requested,
        isCeilingOverridden: true,
      };
    case 'pause':
      return { ...regular, ...exactly(0) };
  }
}

function exactly(capacity: number) {
  return { floor: capacity, ceiling: capacity, floorBy: 'override', isCeilingOverridden: true } as const;
}

/** An override replaces the schedule, or sets a size that no schedule changes. */
function scheduleInForce(override: RememberedOverride | null, policy: Policy): Policy['schedule'] {
  switch (override?.mode) {
    case 'fixed':
    case 'pause':
      return [];
    case 'schedule':
      return override.schedule ?? [];
    case 'min':
    case 'max':
    case undefined:
      return policy.schedule;
  }
}

/**
 * The instances wanted, but at least the busy ones and those that the schedule needs soon; at least those alive where it is not known that
 * fewer are enough.
 */
export function desiredCapacity(situation: Omit<Situation, 'desired'>): number {
  const { observation, demand, bounds, fleet } = situation;
  const canJudge = isAllRead(demand, observation) && !fleet.isFleetSilent;
  // A zero that is not confirmed may turn out to be a batch.
  const atWork = isZeroUnconfirmed(situation) ? Math.min(1, fleet.aliveCount) : busyCount(fleet);
  const least = canJudge ? atWork : fleet.aliveCount;
  return Math.min(bounds.ceiling, Math.max(bounds.floor, demand.wanted, least, keptForSchedule(situation)));
}

/** Instances that are up and stay for a window of the schedule that starts soon. */
export function keptForSchedule({ bounds, fleet }: Pick<Situation, 'bounds' | 'fleet'>): number {
  return Math.min(bounds.scheduled.capacitySoon, fleet.aliveCount);
}

/** How many batches the producer sends depends on this: instances that work or boot, at least one if any is desired. */
export function instancesForDispatch(
  { capacityDesired }: Pick<ScalingDecision, 'capacityDesired'>,
  { fleet }: Pick<Observation, 'fleet'>,
): number {
  if (fleet === null) return capacityDesired;
  return Math.max(fleet.instances.filter(isPaidFor).length, Math.min(1, capacityDesired));
}

function sumOf<T>(items: readonly T[], numberOf: (item: T) => number): number {
  return items.reduce((sum, item) => sum + numberOf(item), 0);
}
