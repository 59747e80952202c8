/**
 * One job with a cap, in virtual time: the real rules for sending, scaling and charging, with simulated machines that boot, take batches
 * and cost money.
 */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { maySendMore } from '../../producer/jobs/spending-cap.ts';
import { windowSize } from '../../producer/jobs/take-turns.ts';
import { costOf, shareCost } from '../../scaler/costs/share-cost.ts';
import { decide } from '../../scaler/decide/decide.ts';
import { INITIAL_MEMORY } from '../../scaler/decide/memory.ts';
import type { Instance } from '../../scaler/fleet/fleet.ts';
import type { JobBacklog, Observation } from '../../scaler/observe/observation.ts';
import { POLICY_DEFAULTS, type Policy } from '../../scaler/policy.ts';
import { buildDefinition } from '../support/build-job.ts';
import { buildReport, fleetOf, workersOf } from '../support/scaler-tick.ts';

const TICK_MS = 5_000;
const START_MS = Date.UTC(2026, 10, 23);
const BATCH_FRAMES = 10;
const MEGAPIXELS_PER_SECOND = 4;

interface World {
  readonly pricePerHour: number;
  readonly secondsPerFrame: number;
  readonly bootMs: number;
  readonly capacityMax: number;
  readonly frames: number;
}

interface Machine {
  readonly instance: Instance;
  readonly readyAtMs: number;
  stateSinceMs: number;
  /** When its batch is done; null while it holds none. */
  doneAtMs: number | null;
}

class CappedJob {
  readonly #world: World;
  readonly #policy: Policy;
  #memory = INITIAL_MEMORY;
  #atMs = START_MS;
  #machines: Machine[] = [];
  #made = 0;
  #onQueue = 0;
  #inHand = 0;
  #sent = 0;
  #chargedUpToMs = START_MS;
  spendingMax = 1;
  framesScored = 0;
  micros = 0;
  machinesMax = 0;

  constructor(world: World) {
    this.#world = world;
    this.#policy = {
      ...POLICY_DEFAULTS,
      capacityMax: world.capacityMax,
      pricePerHour: { gpu: world.pricePerHour },
      writeEveryMs: 0,
    };
  }

  get spent(): number {
    return this.micros / 1e6;
  }
  get machines(): number {
    return this.#machines.length;
  }
  get inFlight(): number {
    return this.#onQueue + this.#inHand;
  }
  /** The most that a full window of batches can cost, including the ticks until the cap is noticed. */
  get windowWorth(): number {
    const { pricePerHour, secondsPerFrame } = this.#world;
    const batchSeconds = BATCH_FRAMES * secondsPerFrame + (2 * TICK_MS) / 1000;
    return windowSize(this.machinesMax) * batchSeconds * (pricePerHour / 3600);
  }

  run(forMs: number, until: () => boolean = () => false): void {
    for (const endMs = this.#atMs + forMs; this.#atMs < endMs && !until();) this.#tick();
  }

  #tick(): void {
    this.#atMs += TICK_MS;
    this.#work();
    this.#dispatch();
    const seen = this.#observe();
    const { decision, memory } = decide(seen, this.#policy, this.#memory);
    this.#memory = memory;
    for (const action of decision.actions) {
      if (action.kind === 'scale-out') while (this.#machines.length < action.total) this.#make();
      // An idle instance drains at once.
      else this.#machines = this.#machines.filter(({ instance }) => !isNamed(action.vmIds, instance.vmId));
    }
    this.machinesMax = Math.max(this.machinesMax, this.#machines.length);
    this.#charge(seen);
  }

  #work(): void {
    for (const machine of this.#machines) {
      if (machine.doneAtMs !== null && machine.doneAtMs <= this.#atMs) {
        machine.doneAtMs = null;
        machine.stateSinceMs = this.#atMs;
        this.#inHand -= 1;
        this.framesScored += BATCH_FRAMES;
      }
      if (machine.doneAtMs === null && machine.readyAtMs <= this.#atMs && this.#onQueue > 0) {
        this.#onQueue -= 1;
        this.#inHand += 1;
        machine.doneAtMs = this.#atMs + BATCH_FRAMES * this.#world.secondsPerFrame * 1000;
        machine.stateSinceMs = this.#atMs;
      }
    }
  }

  #dispatch(): void {
    const job = {
      jobId: 'job',
      definition: buildDefinition('job'),
      state: 'running',
      spendingMax: this.spendingMax,
      framesExpected: this.#world.frames,
      framesScored: this.framesScored,
      framesFailed: 0,
      batchSize: BATCH_FRAMES,
      splitFinished: true,
      batchesOutstanding: this.inFlight,
      batchesToSendAgain: 0,
    } as const;
    const window = windowSize(this.#machines.length);
    while (
      this.#sent * BATCH_FRAMES < this.#world.frames &&
      this.inFlight < window &&
      maySendMore(job, this.spent, this.inFlight)
    ) {
      this.#sent += 1;
      this.#onQueue += 1;
    }
  }

  #observe(): Observation {
    const { frames, secondsPerFrame, bootMs } = this.#world;
    const framesRemaining = frames - this.framesScored;
    const job: JobBacklog = {
      jobId: 'job',
      model: 'painter',
      priority: 'normal',
      framesRemaining,
      framesDone: 0,
      batchesRemaining: Math.ceil(framesRemaining / BATCH_FRAMES),
      framesInFlight: this.inFlight * BATCH_FRAMES,
      messagesMax: this.inFlight,
      megapixelsPerFrame: secondsPerFrame * MEGAPIXELS_PER_SECOND,
      isSplitting: false,
      spent: this.spent,
      spendingMax: this.spendingMax,
      deadlineAt: null,
    };
    const now = new Date(this.#atMs);
    const heard = this.#machines.filter(({ readyAtMs }) => readyAtMs <= this.#atMs);
    const reports = heard.map(({ instance, doneAtMs, stateSinceMs }) =>
      buildReport(
        instance.vmId ?? '',
        { state: doneAtMs === null ? 'idle' : 'busy', stateSince: new Date(stateSinceMs).toISOString() },
        now,
      ),
    );
    return {
      now,
      atMs: this.#atMs,
      messagesApprox: this.inFlight,
      backlog: framesRemaining > 0 ? [job] : [],
      fleet: fleetOf(...this.#machines.map(({ instance }) => instance)),
      workers: workersOf(...reports),
      drainRequests: new Map(),
      ratesByModel: new Map([['painter', MEGAPIXELS_PER_SECOND]]),
      bootMs,
      override: null,
    };
  }

  #make(): void {
    const vmId = `vm-${(this.#made += 1)}`;
    const readyAtMs = this.#atMs + this.#world.bootMs;
    const createdAt = new Date(this.#atMs);
    const instance: Instance = { pool: 'gpu', instanceId: vmId, vmId, phase: 'running', createdAt };
    this.#machines.push({ instance, readyAtMs, stateSinceMs: readyAtMs, doneAtMs: null });
  }

  #charge({ fleet, backlog, ratesByModel }: Observation): void {
    const cost = costOf(fleet?.instances ?? [], this.#policy.pricePerHour, {
      sinceMs: this.#chargedUpToMs,
      upToMs: this.#atMs,
    });
    const shares = shareCost(cost, backlog ?? [], ratesByModel);
    this.#chargedUpToMs = this.#atMs;
    this.micros += shares.get('job')?.micros ?? 0;
  }
}

function isNamed(vmIds: readonly (string | null)[], vmId: string | null): boolean {
  return vmIds.includes(vmId);
}

const HOUR_MS = 3_600_000;
/** A boot costs at most a quarter of the cap: otherwise the cap would not pay for any work. */
const worlds = fc
  .record({
    pricePerHour: fc.double({ min: 1, max: 20, noNaN: true }),
    secondsPerFrame: fc.double({ min: 0.1, max: 6, noNaN: true }),
    bootMs: fc.integer({ min: 10_000, max: 500_000 }),
    capacityMax: fc.integer({ min: 1, max: 16 }),
  })
  .filter(({ pricePerHour, bootMs }) => (pricePerHour * bootMs) / HOUR_MS <= 0.25);

/** A bound for a hang, not for slowness. */
const HANG_MS = 120_000;

test(
  'a job with a cap of 1 spends at most that plus one window, and finishes once the cap is raised',
  {
    timeout: HANG_MS,
  },
  () => {
    fc.assert(
      fc.property(worlds, (drawn) => {
        // More frames than the cap pays for.
        const perFrame = (drawn.secondsPerFrame * drawn.pricePerHour) / 3600;
        const frames = Math.ceil(2 / perFrame / BATCH_FRAMES) * BATCH_FRAMES;
        const job = new CappedJob({ ...drawn, frames });
        job.run(60 * HOUR_MS, () => job.spent >= 1 && job.inFlight === 0);
        expect(job.spent).toBeGreaterThanOrEqual(1);
        expect(job.spent).toBeLessThanOrEqual(1 + job.windowWorth);

        // The job is held: nothing is sent, nothing is charged, and the fleet goes to zero.
        const { spent, framesScored } = job;
        job.run(2 * HOUR_MS);
        expect([job.spent, job.framesScored, job.inFlight, job.machines]).toEqual([
          spent,
          framesScored,
          0,
          0,
        ]);

        job.spendingMax = 1e6;
        job.run(200 * HOUR_MS, () => job.framesScored === frames);
        expect(job.framesScored).toBe(frames);
      }),
      { numRuns: 25 },
    );
  },
);
