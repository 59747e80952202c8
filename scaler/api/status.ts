/** The answer of `GET /status`: the fleet, its work and its cost at the last tick. PURE. */
import { type Amount } from '../../shared/redis/spending.ts';
import { spendingPerHour } from '../costs/share-cost.ts';
import { isAtItsCap } from '../costs/spending-cap.ts';
import { REASON_SENTENCES } from '../decide/decision.ts';
import type { Instance } from '../fleet/fleet.ts';
import { overrideJson } from '../override/document.ts';
import type { Policy } from '../policy.ts';
import {
  blocksOf,
  engineSecondsLeft,
  framesLeft,
  freshReports,
  machinesByPhase,
  overrideInForce,
} from '../tick-figures.ts';
import type { Tick } from '../tick.ts';

export function statusOf(
  { observation, decision, memory, remembered, spending, isLeading }: Tick,
  { policy, framesPerSecond }: { readonly policy: Policy; readonly framesPerSecond: number | null },
) {
  const { now, fleet, backlog, messagesApprox, bootMs, override, drainRequests, workers } = observation;
  return {
    at: now.toISOString(),
    isLeading,
    reason: decision.reason,
    sentence: REASON_SENTENCES[decision.reason],
    framesPerSecond,
    framesLeft: framesLeft(observation)?.toDo ?? null,
    machines: machinesByPhase(observation, policy, memory),
    capacity: {
      desired: decision.capacityDesired,
      min: policy.capacityMin,
      scheduled: decision.numbers['scheduled'] ?? 0,
      max: policy.capacityMax,
    },
    pools:
      fleet?.pools.map(({ name, kind, capacity, isChanging }) => ({
        name,
        kind,
        capacity,
        isChanging,
        instances: countBy(
          fleet.instances.filter(({ pool }) => pool === name),
          ({ phase }) => phase,
        ),
      })) ?? null,
    instances: fleet?.instances.map((instance) => instanceJson(instance, observation)) ?? null,
    workers: workers === null ? null : countBy(freshReports(observation, policy), ({ beat }) => beat.state),
    drainRequests: drainRequests?.size ?? null,
    messagesApprox,
    backlog: backlog && {
      framesRemaining: backlog.reduce((sum, job) => sum + job.framesRemaining, 0),
      engineSeconds: engineSecondsLeft(observation),
      jobs: backlog.map((job) => ({
        jobId: job.jobId,
        model: job.model,
        framesRemaining: job.framesRemaining,
        isSplitting: job.isSplitting,
        spent: job.spent,
        spendingMax: job.spendingMax,
        isAtItsCap: isAtItsCap(job),
      })),
    },
    bootSeconds: bootMs === null ? null : bootMs / 1000,
    blocked: blocksOf(remembered, observation),
    override: overrideJson(override === 'unknown' ? override : overrideInForce(observation)),
    spending: {
      hasPrices: Object.values(policy.pricePerHour).some((price) => price > 0),
      perHour: fleet && spendingPerHour(fleet.instances, policy.pricePerHour),
      perHourMax: policy.spendingPerHourMax,
      total: spending && amountJson(spending.total),
      byJob:
        spending && Object.fromEntries([...spending.byJob].map(([job, amount]) => [job, amountJson(amount)])),
    },
  };
}

function instanceJson(
  { pool, instanceId, vmId, phase, createdAt }: Instance,
  { workers }: Tick['observation'],
) {
  const reports = vmId === null ? [] : (workers?.get(vmId) ?? []);
  const states = reports.map(({ beat }) => beat.state);
  return { pool, instanceId, vmId, phase, createdAt: createdAt.toISOString(), workers: states };
}

function amountJson({ machineMs, micros }: Amount) {
  return { machineSeconds: machineMs / 1000, spent: micros / 1e6 };
}

function countBy<T>(items: readonly T[], keyOf: (item: T) => string): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const item of items) counts[keyOf(item)] = (counts[keyOf(item)] ?? 0) + 1;
  return counts;
}
