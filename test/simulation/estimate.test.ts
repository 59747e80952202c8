/**
 * An estimate compared with what a job then costs, in virtual time: the scaler's own decisions, charges and idle window, with simulated machines
 * that boot and take batches.
 */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { type EstimatedWork, type JobEstimate, estimateJob } from '../../producer/estimate/estimate.ts';
import { actualOf } from '../../producer/jobs/job-actual.ts';
import { planBatchSizes } from '../../producer/jobs/plan-batches.ts';
import { windowSize } from '../../producer/jobs/take-turns.ts';
import { type Activity, activityOf } from '../../scaler/costs/activity.ts';
import { costOf, shareCost } from '../../scaler/costs/share-cost.ts';
import { idleWindowMs } from '../../scaler/decide/capacity.ts';
import { decide } from '../../scaler/decide/decide.ts';
import { INITIAL_MEMORY } from '../../scaler/decide/memory.ts';
import type { Instance } from '../../scaler/fleet/fleet.ts';
import type { Observation } from '../../scaler/observe/observation.ts';
import { POLICY_DEFAULTS, type Policy } from '../../scaler/policy.ts';
import type { FleetRates } from '../../shared/contract/fleet-rates.ts';
import { buildBacklog, buildReport, fleetOf, workersOf } from '../support/scaler-tick.ts';

const TICK_MS = 5_000;
/** Between two passes of dispatch. */
const STEP_MS = 250;
const START_MS = Date.UTC(2026, 10, 23);
const JOIN_MS = 2_000;
const PRICE = 0.53;
const END_MS = 100 * 3_600_000;

interface World {
  readonly frames: number;
  readonly megapixelsPerFrame: number;
  /** Megapixels per second of an engine. */
  readonly rate: number;
  readonly bootMs: number;
  readonly capacityMax: number;
}

interface Machine {
  readonly instance: Instance;
  readonly readyAtMs: number;
  stateSinceMs: number;
  batch: { readonly frames: number; readonly doneAtMs: number } | null;
}

interface Outcome {
  /** From the request to the result. */
  readonly wallMs: number;
  readonly machinesMax: number;
  /** Of all machines, from the first request to the last removal. */
  readonly wholeMs: number;
  readonly wholeMicros: number;
  /** As the job's report states it at its end. */
  readonly actual: ReturnType<typeof actualOf>;
}

function run(world: World, batchFrames: number): Outcome {
  const { frames, megapixelsPerFrame, rate, bootMs, capacityMax } = world;
  const policy: Policy = { ...POLICY_DEFAULTS, capacityMax, pricePerHour: { gpu: PRICE }, writeEveryMs: 0 };
  const queue: number[] = [];
  const charged: Record<Activity, { machineMs: number; micros: number }> = {
    work: { machineMs: 0, micros: 0 },
    boot: { machineMs: 0, micros: 0 },
    idle: { machineMs: 0, micros: 0 },
  };
  let machines: Machine[] = [];
  let [memory, sent, scored, made, machinesMax] = [INITIAL_MEMORY, 0, 0, 0, 0];
  let [wholeMs, wholeMicros] = [0, 0];
  let scoredAtMs: number | null = null;
  let outcome: Omit<Outcome, 'wholeMs' | 'wholeMicros'> | null = null;

  const work = (machine: Machine, fromMs: number, untilMs: number): void => {
    let atMs = Math.max(fromMs, machine.readyAtMs);
    while (atMs <= untilMs) {
      if (machine.batch !== null) {
        if (machine.batch.doneAtMs > untilMs) return;
        atMs = machine.batch.doneAtMs;
        scored += machine.batch.frames;
        machine.batch = null;
        machine.stateSinceMs = atMs;
      }
      const next = queue.shift();
      if (next === undefined) return;
      const took = ((next * megapixelsPerFrame) / rate) * 1000;
      machine.batch = { frames: next, doneAtMs: atMs + took };
      machine.stateSinceMs = atMs;
    }
  };
  const send = (): void => {
    for (; sent < frames && queue.length < windowSize(machines.length); sent += batchFrames)
      queue.push(Math.min(batchFrames, frames - sent));
  };
  const observe = (atMs: number): Observation => {
    const now = new Date(atMs);
    const left = frames - scored;
    const inFlight = Math.min(left, sent - scored);
    const job = buildBacklog('job', {
      framesRemaining: left,
      batchesRemaining: Math.ceil(left / batchFrames),
      framesInFlight: inFlight,
      messagesMax: Math.ceil(inFlight / batchFrames),
      megapixelsPerFrame,
    });
    const reports = machines
      .filter(({ readyAtMs }) => readyAtMs <= atMs)
      .map(({ instance, batch, stateSinceMs }) => {
        const stateSince = new Date(stateSinceMs).toISOString();
        return buildReport(instance.vmId ?? '', { state: batch === null ? 'idle' : 'busy', stateSince }, now);
      });
    return {
      now,
      atMs,
      messagesApprox: Math.ceil(inFlight / batchFrames),
      backlog: left > 0 ? [job] : [],
      fleet: fleetOf(...machines.map(({ instance }) => instance)),
      workers: workersOf(...reports),
      drainRequests: new Map(),
      ratesByModel: new Map([['painter', rate]]),
      bootMs,
      override: null,
    };
  };
  const charge = (seen: Observation, atMs: number): void => {
    for (const activity of ['work', 'boot', 'idle'] as const) {
      const some = machines
        .map(({ instance }) => instance)
        .filter((one) => activityOf(one, seen) === activity);
      const cost = costOf(some, policy.pricePerHour, { sinceMs: atMs - TICK_MS, upToMs: atMs });
      wholeMs += cost.machineMs;
      wholeMicros += cost.micros;
      const share = shareCost(cost, seen.backlog ?? [], seen.ratesByModel).get('job');
      charged[activity].machineMs += share?.machineMs ?? 0;
      charged[activity].micros += share?.micros ?? 0;
    }
  };
  const end = (atMs: number): Omit<Outcome, 'wholeMs' | 'wholeMicros'> => {
    const total = {
      machineMs: charged.work.machineMs + charged.boot.machineMs + charged.idle.machineMs,
      micros: charged.work.micros + charged.boot.micros + charged.idle.micros,
    };
    const now = new Date(atMs + JOIN_MS);
    return {
      wallMs: now.getTime() - START_MS,
      machinesMax,
      actual: actualOf({
        spending: { total, ...charged },
        times: { inferSeconds: 0, reportedSeconds: 0 },
        enginesPerMachine: 1,
        machinesLeft: machines.length,
        idleSeconds: idleWindowMs(bootMs, policy) / 1000,
        since: new Date(START_MS),
        now,
      }),
    };
  };
  for (let atMs = START_MS; atMs < START_MS + END_MS; atMs += STEP_MS) {
    send();
    for (const machine of machines) work(machine, atMs - STEP_MS, atMs);
    if (scored >= frames) scoredAtMs ??= atMs;
    if (atMs % TICK_MS !== 0) continue;
    const seen = observe(atMs);
    charge(seen, atMs);
    if (scoredAtMs !== null) outcome ??= end(scoredAtMs);
    const decided = decide(seen, policy, memory);
    memory = decided.memory;
    for (const action of decided.decision.actions) {
      if (action.kind === 'scale-out')
        while (machines.length < action.total) {
          const vmId = `vm-${(made += 1)}`;
          const createdAt = new Date(atMs);
          const instance: Instance = { pool: 'gpu', instanceId: vmId, vmId, phase: 'running', createdAt };
          machines.push({ instance, readyAtMs: atMs + bootMs, stateSinceMs: atMs + bootMs, batch: null });
        }
      // An idle instance drains at once.
      else
        machines = machines.filter(({ instance: { vmId } }) => vmId === null || !action.vmIds.includes(vmId));
    }
    machinesMax = Math.max(machinesMax, machines.length);
    if (outcome !== null && machines.length === 0) return { ...outcome, wholeMs, wholeMicros };
  }
  throw new Error('expected the fleet to go to zero');
}

function estimateOf(world: World): { readonly estimate: JobEstimate; readonly batchFrames: number } {
  const { frames, megapixelsPerFrame, rate, bootMs, capacityMax } = world;
  const rates: FleetRates = {
    version: 1,
    measuredAt: '2026-11-23T06:15:02.000Z',
    models: { painter: rate },
    split: { cut: 1e6, decode: null, images: null },
    join: 1e9,
    bootSeconds: bootMs / 1000,
    idleSeconds: idleWindowMs(bootMs, POLICY_DEFAULTS) / 1000,
    enginesPerMachine: 1,
    machinesMax: capacityMax,
    drainTargetSeconds: POLICY_DEFAULTS.drainTargetMs / 1000,
    pools: [{ name: 'gpu', pricePerHour: PRICE }],
  };
  const work: EstimatedWork = {
    split: 'cut',
    frames,
    megapixelsPerFrame,
    model: 'painter',
    contextFrames: 0,
    batchFrames: undefined,
  };
  const { batchFrames } = planBatchSizes({
    framesExpected: frames,
    megapixelsPerFrame,
    megapixelsPerSecond: rate,
    requested: undefined,
  });
  return { estimate: estimateJob(work, rates), batchFrames };
}

const worlds = fc.record({
  frames: fc.integer({ min: 500, max: 200_000 }),
  megapixelsPerFrame: fc.constantFrom(0.2304, 0.9216, 2.0736),
  rate: fc.double({ min: 20, max: 400, noNaN: true }),
  bootMs: fc.integer({ min: 60_000, max: 600_000 }),
  capacityMax: fc.integer({ min: 1, max: 20 }),
});
/** Of the estimate, in both directions. */
const ERROR_MAX = 0.2;
const HANG_MS = 120_000;

test('an estimate is within a fifth of what the job then takes and costs', { timeout: HANG_MS }, () => {
  fc.assert(
    fc.property(worlds, (world) => {
      const { estimate, batchFrames } = estimateOf(world);
      const [fleet] = estimate.wallSeconds;
      const { wallMs, machinesMax, wholeMs, wholeMicros, actual } = run(world, batchFrames);
      const isNear = (estimated: number, real: number, name: string): void => {
        const isWithin = Math.abs(estimated - real) <= ERROR_MAX * real;
        expect({ name, estimated, real, isWithin }).toMatchObject({ isWithin: true });
      };
      expect(fleet?.machinesUsed).toBe(machinesMax);
      isNear(fleet?.seconds ?? 0, wallMs / 1000, 'wall time');
      isNear(fleet?.machineSeconds.total ?? 0, wholeMs / 1000, 'machine time');
      isNear(fleet?.money ?? 0, wholeMicros / 1e6, 'money');
      // What the report states, with the idle window that has not passed when it is written.
      isNear(actual.machineMs.total, wholeMs, 'machine time of the report');
      isNear(actual.micros?.total ?? 0, wholeMicros, 'money of the report');
      isNear(fleet?.machineSeconds.boot ?? 0, actual.machineMs.boot / 1000, 'boot');
    }),
    { numRuns: 50 },
  );
});
