/**
 * What the operator wants of the fleet, as numbers with their units and reasons. PURE.
 *
 * `checkedPolicy` holds what must be true between them; every other file of the scaler takes that for granted.
 */
import assert from 'node:assert/strict';

export interface Policy {
  /** Never more machines than this, whatever they are doing: those that are on their way out count, because they cost. */
  readonly capacityMax: number;
  /** Kept even with nothing to do: by a schedule, or for ever. */
  readonly capacityMin: number;
  /** The backlog is to be drained within this time, as far as the bounds allow. */
  readonly drainTargetMs: number;
  /** One GPU, one engine. */
  readonly enginesPerInstance: number;

  /** The idle window is what a cold start takes, as measured, within these bounds; and this where nobody has measured. */
  readonly idleMsMin: number;
  readonly idleMsMax: number;
  readonly idleMsUnmeasured: number;
  /** A queue or a ledger that reads zero is believed when it did so often in a row. */
  readonly zeroReadingsMin: number;

  /** From an instance's creation to its first heartbeat: a GPU image with a driver to build takes five to eleven minutes at worst. */
  readonly bootTimeoutMs: number;
  /** So many instances in a row that never reported: something is wrong with all of them. */
  readonly bootFailuresMax: number;
  /** After that one instance at a time is tried, ever more rarely. */
  readonly bootRetryMsMin: number;
  readonly bootRetryMsMax: number;

  /** A heartbeat that is older says nothing of now: a dozen of them are missing. */
  readonly heartbeatStaleMs: number;
  /** The longest lease a worker may hold without renewing it: `FRAMEFLEET_LEASE_SECONDS` of the workers. */
  readonly leaseMs: number;
  /** Who has been silent for so long, and been asked to drain for so long, holds nothing any more. */
  readonly silentRemoveMs: number;

  /** Money an hour for one instance, by pool, in any one currency. A pool that is not named costs nothing. */
  readonly pricePerHour: Readonly<Record<string, number>>;
  /** Never more money an hour than this, what runs already included. Null: no such bound. */
  readonly spendingPerHourMax: number | null;
  /** Of the instances wanted, so many are on demand: an eviction wave leaves them. */
  readonly onDemandBase: number;
  /** A pool is written to at most so often: Azure allows four changes of a scale set a minute. */
  readonly writeEveryMs: number;
}

export const POLICY_DEFAULTS: Policy = {
  capacityMax: 10,
  capacityMin: 0,
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

/** The same policy; throws an AssertionError where its numbers contradict each other. */
export function checkedPolicy(policy: Policy): Policy {
  const { capacityMin, capacityMax, onDemandBase } = policy;
  assert(capacityMax >= 0 && capacityMin >= 0 && onDemandBase >= 0, 'capacities are not negative');
  assert(capacityMin <= capacityMax, 'the least capacity must not be above the greatest');
  assert(policy.drainTargetMs > 0 && policy.enginesPerInstance >= 1, 'there must be a target, and engines');
  assert(
    policy.idleMsMin <= policy.idleMsUnmeasured && policy.idleMsUnmeasured <= policy.idleMsMax,
    'the idle window must lie within its bounds',
  );
  assert(policy.zeroReadingsMin >= 2, 'a single reading of zero is never believed');
  assert(policy.bootFailuresMax >= 1 && policy.bootRetryMsMin <= policy.bootRetryMsMax, 'boots are retried');
  assert(
    policy.silentRemoveMs >= 2 * policy.leaseMs && policy.silentRemoveMs > policy.heartbeatStaleMs,
    'a silent worker must have lost its lease long before its machine is removed',
  );
  assert(
    policy.spendingPerHourMax === null || policy.spendingPerHourMax >= 0,
    'the money an hour is a number from 0 up, or unbounded',
  );
  return policy;
}
