/**
 * The metrics of the scaler and of the fleet. Label values come from closed sets or from the configuration, never from an id.
 *
 * Many instances live for a few minutes only, so Prometheus may never scrape them. The scaler therefore also exposes the figures
 * of their last heartbeats.
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
  /** Updates the metrics after a tick. */
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
    'Frames of open jobs that are neither scored nor failed, without those of jobs held at a cap.',
  );
  const framesHeld = gauge(
    'framefleet_scaler_frames_held',
    'Frames of jobs that have spent their cap. They are sent when the cap is raised.',
  );
  const messages = gauge(
    'framefleet_scaler_messages_approx',
    'Batch messages on the queue, visible and in flight. Approximate.',
  );
  const inFlight = gauge('framefleet_scaler_in_flight_approx', 'Batches that workers report as held.');
  const engineSeconds = gauge(
    'framefleet_scaler_engine_seconds_remaining',
    'Time that one engine needs for the backlog.',
  );
  const instances = labelled('framefleet_scaler_instances', 'Instances by pool and phase.', 'pool', 'phase');
  const workers = labelled(
    'framefleet_scaler_workers',
    'Workers with a recent heartbeat, by state.',
    'state',
  );
  const desired = gauge('framefleet_scaler_capacity_desired', 'Instances that the scaler wants.');
  const capacityMin = gauge('framefleet_scaler_capacity_min', 'Instances that are kept without work.');
  const capacityScheduled = gauge(
    'framefleet_scaler_capacity_scheduled',
    'Instances that the schedule asks for at the moment.',
  );
  const capacityMax = gauge('framefleet_scaler_capacity_max', 'Upper limit of instances.');
  const decisions = counter(
    'framefleet_scaler_decisions_total',
    'Ticks, by reason of the decision.',
    'reason',
  );
  const blocked = labelled(
    'framefleet_scaler_blocked',
    '1 for each pool that provides no more instances at the moment, by reason.',
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
    'Price of the running instances per hour, in the currency of the prices.',
  );
  const spent = counter(
    'framefleet_scaler_spending_total',
    'Money spent since the fleet was set up, in the currency of the prices.',
  );
  const machineSeconds = counter(
    'framefleet_scaler_machine_seconds_total',
    'Time that instances existed, including booting and idle time.',
  );
  const boot = gauge(
    'framefleet_scaler_boot_seconds',
    'Time from the request for an instance to its first heartbeat, smoothed.',
  );
  const lastTick = gauge(
    'framefleet_scaler_last_tick_timestamp_seconds',
    'Unix time of the end of the last tick.',
  );
  const leader = gauge('framefleet_scaler_leader', '1 if this scaler leads and acts, 0 otherwise.');
  const drainRequests = gauge('framefleet_scaler_drain_requests', 'Instances with a drain request.');
  const removed = counter('framefleet_scaler_removed_total', 'Instances removed, by cause.', 'why');
  const megapixels = labelled(
    'framefleet_fleet_megapixels_per_second',
    'Throughput of workers by their last heartbeats, by model and execution provider.',
    'model',
    'provider',
  );
  const byProvider = labelled(
    'framefleet_fleet_workers',
    'Workers with a recent heartbeat, by execution provider.',
    'provider',
  );
  const tooOld = gauge(
    'framefleet_fleet_workers_too_old',
    'Workers that found a message of a newer release.',
  );

  for (const reason of REASONS) decisions.inc({ reason }, 0);
  for (const why of REMOVAL_REASONS) removed.inc({ why }, 0);
  // Hidden until the total is read from Redis: a jump from 0 to the total would look like money spent just now.
  spent.remove({});
  machineSeconds.remove({});
  /** The totals that the counters already contain. Redis keeps the totals across restarts. */
  const counted = { micros: 0, machineMs: 0 };

  return {
    registry,
    removed: (why, count) => removed.inc({ why }, count),
    tick(tick, policy) {
      const { observation, decision, remembered, spending, isLeading } = tick;
      const { fleet, workers: reportsByVm, messagesApprox, bootMs } = observation;
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
      for (const state of WORKER_STATES)
        workers.set({ state }, reportsByVm === null ? Number.NaN : inState(state));
      inFlight.set(reportsByVm === null ? Number.NaN : inState('busy') + inState('draining'));
      desired.set(decision.capacityDesired);
      capacityMin.set(policy.capacityMin);
      capacityScheduled.set(decision.numbers['scheduled'] ?? 0);
      capacityMax.set(policy.capacityMax);
      decisions.inc({ reason: decision.reason });
      blocked.reset();
      for (const { pool, reason } of blocksOf(remembered, observation)) blocked.set({ pool, reason }, 1);
      const inForce = overrideInForce(observation);
      for (const mode of OVERRIDE_MODES) override.set({ mode }, inForce?.mode === mode ? 1 : 0);
      perHour.set(fleet === null ? Number.NaN : spendingPerHour(fleet.instances, policy.pricePerHour));
      if (spending !== null) {
        const { micros, machineMs } = spending.total;
        spent.inc(Math.max(0, micros - counted.micros) / 1e6);
        machineSeconds.inc(Math.max(0, machineMs - counted.machineMs) / 1000);
        counted.micros = Math.max(counted.micros, micros);
        counted.machineMs = Math.max(counted.machineMs, machineMs);
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
