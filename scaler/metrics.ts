/** What the scaler shows. Labels are from closed sets, never an id. */
import { WORKER_STATES, type WorkerState } from '../shared/contract/heartbeat.ts';
import { Counter, Gauge, type Registry, createRegistry } from '../shared/runtime/metrics.ts';
import { type Decision, REASONS } from './decide.ts';
import type { Observation } from './observe.ts';

export interface ScalerMetrics {
  readonly registry: Registry;
  /** One tick: what was seen and what was decided. */
  tick(observation: Observation, decision: Decision): void;
}

export function scalerMetrics(): ScalerMetrics {
  const registry = createRegistry();
  const registers = [registry];
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  const framesRemaining = gauge(
    'framefleet_scaler_frames_remaining',
    'Frames of open jobs that are neither scored nor given up.',
  );
  const messagesApprox = gauge(
    'framefleet_scaler_messages_approx',
    'Batch messages on the queue, visible and in flight.',
  );
  const engineSeconds = gauge(
    'framefleet_scaler_engine_seconds_remaining',
    'Time one engine would need for the backlog.',
  );
  const instances = gauge('framefleet_scaler_instances', 'Instances there are, booting or at work.');
  const capacityDesired = gauge('framefleet_scaler_capacity_desired', 'Instances there should be.');
  const lastTick = gauge(
    'framefleet_scaler_last_tick_timestamp_seconds',
    'When the last tick ended, Unix time.',
  );
  const workers = new Gauge({
    name: 'framefleet_scaler_workers',
    help: 'Instances by what their worker last said of itself.',
    labelNames: ['state'],
    registers,
  });
  const decisions = new Counter({
    name: 'framefleet_scaler_decisions_total',
    help: 'Ticks by the reason of their decision.',
    labelNames: ['reason'],
    registers,
  });
  for (const reason of REASONS) decisions.inc({ reason }, 0);

  return {
    registry,
    tick(observation, decision) {
      framesRemaining.set(observation.backlog?.framesRemaining ?? Number.NaN);
      messagesApprox.set(observation.messagesApprox ?? Number.NaN);
      engineSeconds.set(observation.backlog?.engineSecondsRemaining ?? Number.NaN);
      instances.set(observation.instances?.length ?? Number.NaN);
      capacityDesired.set(decision.capacityDesired);
      for (const state of WORKER_STATES) workers.set({ state }, countIn(state, observation));
      decisions.inc({ reason: decision.reason });
      lastTick.setToCurrentTime();
    },
  };
}

/** An instance that has not said anything yet is booting. */
function countIn(state: WorkerState, { instances, heartbeats }: Observation): number {
  return (instances ?? []).filter(({ vmId }) => (heartbeats?.get(vmId)?.state ?? 'booting') === state).length;
}
