/**
 * The limits and times that the scaler works with, with their units and reasons. PURE.
 *
 * `checkedPolicy` asserts the relations between them. Every other file of the scaler relies on these.
 */
import assert from 'node:assert/strict';

import type { ScheduleWindow } from './schedule.ts';

export interface Policy {
  /** Maximum number of instances. Those being drained or deleted count, because they cost money. */
  readonly capacityMax: number;
  /** Instances that are kept without work. */
  readonly capacityMin: number;
  /** Times at which more instances are kept without work. An override may replace them. */
  readonly schedule: readonly ScheduleWindow[];
  /** The time within which the backlog should be finished, as far as the bounds allow. */
  readonly drainTargetMs: number;
  /** One engine per GPU. */
  readonly enginesPerInstance: number;

  /** Bounds of the idle window, which is the measured length of a cold start; and the window while there is no measurement. */
  readonly idleMsMin: number;
  readonly idleMsMax: number;
  readonly idleMsUnmeasured: number;
  /** Consecutive readings of zero that confirm an empty queue and ledger. */
  readonly zeroReadingsMin: number;

  /** From the creation of an instance to its first heartbeat. A GPU image that builds its driver takes five to eleven minutes. */
  readonly bootTimeoutMs: number;
  /** This many failed boots in a row have a common cause. */
  readonly bootFailuresMax: number;
  /** After that, the scaler tries one instance at a time, at growing intervals between these. */
  readonly bootRetryMsMin: number;
  readonly bootRetryMsMax: number;

  /** An older heartbeat says nothing about the present: a dozen were due since. */
  readonly heartbeatStaleMs: number;
  /** The longest lease that a worker may hold without renewing it: the workers' `FRAMEFLEET_LEASE_SECONDS`. */
  readonly leaseMs: number;
  /** An instance that has been silent and asked to drain for this long holds no batch any more. */
  readonly silentRemoveMs: number;

  /** Price of one instance per hour, by pool, in any one currency. A pool without a price is free. */
  readonly pricePerHour: Readonly<Record<string, number>>;
  /** Maximum cost of the fleet per hour. Null means no limit. */
  readonly spendingPerHourMax: number | null;
  /** This many of the desired instances are on-demand: they survive a wave of evictions. */
  readonly onDemandBase: number;
  /** Minimum time between two changes of a pool. Azure allows four changes of a scale set per minute. */
  readonly writeEveryMs: number;
}

export const POLICY_DEFAULTS: Policy = {
  capacityMax: 10,
  capacityMin: 0,
  schedule: [],
  drainTargetMs: 300_000,
  enginesPerInstance: 1,
  idleMsMin: 60_000,
  idleMsMax: 900_000,
  idleMsUnmeasured: 300_000,
  zeroReadingsMin: 2,
  bootTimeoutMs: 600_000,
  bootFailuresMax: 3,
  bootRetryMsMin: 600_000,
  bootRetryMsMax: 7_200_000,
  heartbeatStaleMs: 60_000,
  leaseMs: 60_000,
  silentRemoveMs: 300_000,
  pricePerHour: {},
  spendingPerHourMax: null,
  onDemandBase: 0,
  writeEveryMs: 15_000,
};

/** Returns the same policy. Throws an AssertionError if its numbers contradict each other. */
export function checkedPolicy(policy: Policy): Policy {
  const { capacityMin, capacityMax, onDemandBase } = policy;
  assert(capacityMax >= 0 && capacityMin >= 0 && onDemandBase >= 0, 'a capacity must not be negative');
  assert(capacityMin <= capacityMax, 'the minimum capacity must not exceed the maximum capacity');
  assert(
    policy.schedule.every(({ capacity }) => capacity <= capacityMax),
    'a window of the schedule must not ask for more than the maximum capacity',
  );
  assert(
    policy.drainTargetMs > 0 && policy.enginesPerInstance >= 1,
    'the drain target and the engines per instance must be positive',
  );
  assert(
    policy.idleMsMin <= policy.idleMsUnmeasured && policy.idleMsUnmeasured <= policy.idleMsMax,
    'the unmeasured idle window must lie within its bounds',
  );
  assert(policy.zeroReadingsMin >= 2, 'at least two readings must confirm a zero');
  assert(
    policy.bootFailuresMax >= 1 && policy.bootRetryMsMin <= policy.bootRetryMsMax,
    'failed boots must have a limit, and a retry interval with its minimum below its maximum',
  );
  assert(
    policy.silentRemoveMs >= 5 * policy.leaseMs && policy.silentRemoveMs > policy.heartbeatStaleMs,
    'a silent worker must have lost its lease long before its instance is removed',
  );
  assert(
    policy.spendingPerHourMax === null || policy.spendingPerHourMax >= 0,
    'the maximum spending per hour must not be negative',
  );
  return policy;
}
