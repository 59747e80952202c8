/**
 * What the scaler shows of the fleet. Labels are from closed sets or from the configuration, never an id.
 *
 * Machines that live for minutes are missed by whoever scrapes them: what they last said of themselves is shown here, too.
 */
import { WORKER_STATES } from '../shared/contract/heartbeat.ts';
import { Counter, Gauge, type Registry, createRegistry } from '../shared/runtime/metrics.ts';
import { spendingPerHour } from './costs/share-cost.ts';
import { REASONS, REMOVAL_REASONS, type RemovalReason } from './decide/decision.ts';
import { INSTANCE_PHASES } from './fleet/fleet.ts';
import { OVERRIDE_MODES } from './override/document.ts';
import type { Policy } from './policy.ts';
import {
  blocksOf,
  engineSecondsLeft,
  fleetFigures,
  framesLeft,
  freshReports,
  overrideInForce,
} from './tick-figures.ts';
import type { Tick } from './tick.ts';

export interface ScalerMetrics {
  readonly registry: Registry;
  /** One tick: what was seen and what was decided. */
  tick(tick: Tick, policy: Policy): void;
  removed(this: void, why: RemovalReason, count: number): void;
}

export function scalerMetrics(): ScalerMetrics {
  const registry = createRegistry();
  const registers = [registry];
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  const labelled = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Gauge({ name, help, labelNames, registers });
  const counter = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Counter({ name, help, labelNames, registers });

  const framesRemaining = gauge(
    'framefleet_scaler_frames_remaining',
    'Frames of open jobs that are neither scored nor given up, but for those held at a cap.',
  );
  const framesHeld = gauge(
    'framefleet_scaler_frames_held',
    'Frames of jobs that have spent their cap, and are not sent until it is raised.',
  );
  const messages = gauge(
    'framefleet_scaler_messages_approx',
    'Batch messages on the queue, visible and in flight.',
  );
  const inFlight = gauge('framefleet_scaler_in_flight_approx', 'Batches that workers say they hold.');
  const engineSeconds = gauge(
    'framefleet_scaler_engine_seconds_remaining',
    'Time one engine would need for the backlog.',
  );
  const instances = labelled(
    'framefleet_scaler_instances',
    'Instances there are, by pool and phase.',
    'pool',
    'phase',
  );
  const workers = labelled(
    'framefleet_scaler_workers',
    'Workers heard of lately, by what they last said of themselves.',
    'state',
  );
  const desired = gauge('framefleet_scaler_capacity_desired', 'Instances there should be.');
  const least = gauge('framefleet_scaler_capacity_min', 'Instances that are kept with nothing to do.');
  const most = gauge('framefleet_scaler_capacity_max', 'Instances there may be.');
  const decisions = counter(
    'framefleet_scaler_decisions_total',
    'Ticks by the reason of their decision.',
    'reason',
  );
  const blocked = labelled(
    'framefleet_scaler_blocked',
    '1 for each pool that gives nothing more at the moment, by why.',
    'pool',
    'reason',
  );
  const override = labelled(
    'framefleet_scaler_override_active',
    '1 for the mode of the override in force.',
    'mode',
  );
  const perHour = gauge(
    'framefleet_scaler_spending_per_hour',
    'Money an hour for what runs now, in the currency of the prices.',
  );
  const spent = counter('framefleet_scaler_spending_total', 'Money spent, in the currency of the prices.');
  const machineSeconds = counter(
    'framefleet_scaler_machine_seconds_total',
    'Time that instances existed, booting and idle included.',
  );
  const boot = gauge(
    'framefleet_scaler_boot_seconds',
    'From asking for an instance to its first heartbeat, smoothed.',
  );
  const lastTick = gauge(
    'framefleet_scaler_last_tick_timestamp_seconds',
    'When the last tick ended, Unix time.',
  );
  const leader = gauge('framefleet_scaler_leader', '1 where this scaler acts, 0 where it only watches.');
  const drainRequests = gauge('framefleet_scaler_drain_requests', 'Instances that are asked to finish.');
  const removed = counter('framefleet_scaler_removed_total', 'Instances removed, by why.', 'why');
  const megapixels = labelled(
    'framefleet_fleet_megapixels_per_second',
    'Sum of what workers last reported, by model and execution provider.',
    'model',
    'provider',
  );
  const byProvider = labelled(
    'framefleet_fleet_workers',
    'Workers heard of lately, by execution provider.',
    'provider',
  );
  const tooOld = gauge(
    'framefleet_fleet_workers_too_old',
    'Workers that found a message for a newer release.',
  );

  for (const reason of REASONS) decisions.inc({ reason }, 0);
  for (const why of REMOVAL_REASONS) removed.inc({ why }, 0);
  // Not shown before Redis was asked: a 0 that becomes the total of a month reads as a month's money spent now.
  spent.remove({});
  machineSeconds.remove({});
  /** What the counters have said: Redis knows the totals, across restarts. */
  const told = { micros: 0, machineMs: 0 };

  return {
    registry,
    removed: (why, count) => removed.inc({ why }, count),
    tick(tick, policy) {
      const { observation, decision, remembered, spending, isLeading } = tick;
      const { fleet, workers: all, messagesApprox, bootMs } = observation;
      const reports = freshReports(observation, policy);
      const frames = framesLeft(observation);
      framesRemaining.set(frames?.toDo ?? Number.NaN);
      framesHeld.set(frames?.held ?? Number.NaN);
      messages.set(messagesApprox ?? Number.NaN);
      engineSeconds.set(engineSecondsLeft(observation) ?? Number.NaN);
      instances.reset();
      for (const { name } of fleet?.pools ?? [])
        for (const phase of INSTANCE_PHASES) instances.set({ pool: name, phase }, 0);
      for (const { pool, phase } of fleet?.instances ?? []) instances.inc({ pool, phase });
      const inState = (state: string) => reports.filter(({ beat }) => beat.state === state).length;
      for (const state of WORKER_STATES) workers.set({ state }, all === null ? Number.NaN : inState(state));
      inFlight.set(all === null ? Number.NaN : inState('busy') + inState('draining'));
      desired.set(decision.capacityDesired);
      least.set(policy.capacityMin);
      most.set(policy.capacityMax);
      decisions.inc({ reason: decision.reason });
      blocked.reset();
      for (const { pool, reason } of blocksOf(remembered, observation)) blocked.set({ pool, reason }, 1);
      const inForce = overrideInForce(observation);
      for (const mode of OVERRIDE_MODES) override.set({ mode }, inForce?.mode === mode ? 1 : 0);
      perHour.set(fleet === null ? Number.NaN : spendingPerHour(fleet.instances, policy.pricePerHour));
      if (spending !== null) {
        const { micros, machineMs } = spending.total;
        spent.inc(Math.max(0, micros - told.micros) / 1e6);
        machineSeconds.inc(Math.max(0, machineMs - told.machineMs) / 1000);
        told.micros = Math.max(told.micros, micros);
        told.machineMs = Math.max(told.machineMs, machineMs);
      }
      boot.set(bootMs === null ? Number.NaN : bootMs / 1000);
      leader.set(isLeading ? 1 : 0);
      drainRequests.set(observation.drainRequests?.size ?? Number.NaN);
      megapixels.reset();
      byProvider.reset();
      for (const { model, provider, megapixelsPerSecond } of fleetFigures(reports)) {
        byProvider.inc({ provider });
        if (model !== null) megapixels.inc({ model, provider }, megapixelsPerSecond);
      }
      tooOld.set(reports.filter(({ beat }) => beat.isTooOld).length);
      lastTick.setToCurrentTime();
    },
  };
}
