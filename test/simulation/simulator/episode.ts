/**
 * Runs one episode: jobs, machines and a cloud in virtual time, controlled by the real `decide`. It ends when the faults are over, all
 * work is finished and all machines are gone; when the time for that has run out; or with the first violation.
 */
import { recordOutcome } from '../../../scaler/decide/blocked-pools.ts';
import { type DecisionAndMemory, decide as realDecide } from '../../../scaler/decide/decide.ts';
import type { Action } from '../../../scaler/decide/decision.ts';
import { type Memory, INITIAL_MEMORY } from '../../../scaler/decide/memory.ts';
import type { Observation } from '../../../scaler/observe/observation.ts';
import type { Policy } from '../../../scaler/policy.ts';
import { SimulatedCloud } from './cloud.ts';
import { Dice } from './dice.ts';
import { Invariants, type Violation } from './invariants.ts';
import type { SimulatedMachine } from './machine.ts';
import { type Scenario, type SimulatedFault, type SimulatedFaultKind, drawScenario } from './scenario.ts';
import { type SimulatedStorage, observeSimulation } from './view.ts';
import { SimulatedWork } from './work.ts';

export type Decide = (observation: Observation, policy: Policy, memory: Memory) => DecisionAndMemory;

export interface Episode {
  readonly violations: readonly Violation[];
  readonly ticks: number;
  readonly machinesMax: number;
  readonly removed: number;
  /** Each tick at which idle instances were asked to drain, and how many. */
  readonly scaleIns: readonly { readonly atMs: number; readonly count: number }[];
  /** Decisions by reason: shows what an episode has exercised. */
  readonly reasons: ReadonlyMap<string, number>;
}

/** The world just before a tick. */
export interface Moment {
  readonly now: Date;
  /** Machines whose worker is idle or busy, and that are not asked to drain. */
  readonly ready: number;
  readonly machines: number;
}

/** The beginning of every episode, large enough that no virtual instant is negative. */
const BEGIN_MS = 1_000_000;

export function runEpisode({
  random,
  scenario: given,
  decide = realDecide,
  onTick,
}: {
  /** Returns numbers from 0 up to 1. A seed replays them. */
  readonly random: () => number;
  /** Default: a random one. */
  readonly scenario?: Scenario;
  readonly decide?: Decide;
  readonly onTick?: (moment: Moment) => void;
}): Episode {
  const dice = new Dice(random);
  return new Simulation(given ?? drawScenario(dice, BEGIN_MS), dice, decide).run(onTick);
}

class Simulation {
  readonly #scenario: Scenario;
  readonly #dice: Dice;
  readonly #decide: Decide;
  readonly #work: SimulatedWork;
  readonly #cloud: SimulatedCloud;
  readonly #storage: SimulatedStorage = { requests: new Map(), lastHeartbeats: new Map() };
  readonly #invariants: Invariants;
  readonly #reasons = new Map<string, number>();
  readonly #scaleIns: Episode['scaleIns'][number][] = [];
  #memories: Memory[];
  #atMs = 0;
  #etags = 0;
  #bootMs: number | null = null;
  #removed = 0;

  constructor(scenario: Scenario, dice: Dice, decide: Decide) {
    this.#scenario = scenario;
    this.#dice = dice;
    this.#decide = decide;
    this.#work = new SimulatedWork(scenario.jobs);
    this.#cloud = new SimulatedCloud(scenario, dice, (kind) => this.#has(kind));
    this.#invariants = new Invariants(scenario, this.#cloud);
    this.#memories = Array.from({ length: scenario.scalers }, () => INITIAL_MEMORY);
  }

  run(onTick?: (moment: Moment) => void): Episode {
    const { calmAtMs, endAtMs, tickMs, actLagMs } = this.#scenario;
    let [ticks, machinesMax, isCalm] = [0, 0, false];
    while (this.#atMs < endAtMs && this.#invariants.violations.length === 0) {
      if (!isCalm && this.#atMs >= calmAtMs) {
        this.#cloud.calm(this.#now());
        isCalm = true;
      }
      this.#advance(tickMs * this.#dice.between(0.9, 1.1));
      onTick?.(this.#moment());
      this.#tick(ticks, actLagMs);
      ticks += 1;
      machinesMax = Math.max(machinesMax, this.#cloud.machines.length);
      if (isCalm && this.#work.isOver && this.#cloud.machines.length === 0) break;
    }
    if (this.#invariants.violations.length > 0) return this.#outcome(ticks, machinesMax);
    if (!this.#work.isOver) this.#break('never-done', `${this.#work.messages} messages`);
    else if (this.#cloud.machines.length > 0) {
      const left = this.#cloud.machines.map(({ state, phase }) => `${state}/${phase}`).slice(0, 5);
      this.#break('never-zero', `${this.#cloud.machines.length} machines: ${left.join(' ')}`);
    }
    return this.#outcome(ticks, machinesMax);
  }

  #moment(): Moment {
    const { machines } = this.#cloud;
    const isReady = ({ state, vmId }: SimulatedMachine): boolean =>
      (state === 'idle' || state === 'busy') && !this.#storage.requests.has(vmId);
    return { now: new Date(this.#now()), ready: machines.filter(isReady).length, machines: machines.length };
  }

  #outcome(ticks: number, machinesMax: number): Episode {
    return {
      violations: this.#invariants.violations,
      ticks,
      machinesMax,
      removed: this.#removed,
      scaleIns: this.#scaleIns,
      reasons: this.#reasons,
    };
  }

  #break(kind: Violation['kind'], detail: string): void {
    this.#invariants.broken(kind, this.#atMs, detail);
  }

  #now(): number {
    return BEGIN_MS + this.#atMs;
  }

  #has(kind: SimulatedFaultKind): boolean {
    return this.#fault(kind) !== undefined;
  }

  #fault(kind: SimulatedFaultKind): SimulatedFault | undefined {
    return this.#scenario.faults.find(
      (one) => one.kind === kind && one.fromMs <= this.#atMs && this.#atMs < one.untilMs,
    );
  }

  #advance(byMs: number): void {
    this.#atMs += byMs;
    const nowMs = this.#now();
    this.#work.advance(nowMs - BEGIN_MS);
    const [away, heldBeats] = [this.#fault('storage-away'), this.#fault('beats-held')];
    const around = {
      work: this.#work,
      dice: this.#dice,
      leaseMs: this.#scenario.policy.leaseMs,
      drainEtag: (vmId: string) => this.#storage.requests.get(vmId),
    };
    for (const machine of this.#cloud.machines) {
      const wasHeard = machine.beat !== null;
      const isCutOff = affects(away, machine);
      machine.advance(nowMs, { ...around, isCutOff, areBeatsHeld: affects(heldBeats, machine) });
      if (!wasHeard && machine.beat !== null) this.#measureBoot(machine);
    }
    const before = this.#cloud.machines;
    this.#cloud.advance(nowMs);
    if (this.#cloud.machines.length < before.length) this.#recordGone(before);
  }

  #measureBoot({ beatWrittenAtMs, createdAtMs }: SimulatedMachine): void {
    const measuredMs = beatWrittenAtMs - createdAtMs;
    this.#bootMs = this.#bootMs === null ? measuredMs : 0.8 * this.#bootMs + 0.2 * measuredMs;
  }

  /** The last heartbeats of machines that are gone stay in storage; their drain requests are removed. */
  #recordGone(before: readonly SimulatedMachine[]): void {
    const present = new Set(this.#cloud.machines);
    for (const { vmId, beat, beatWrittenAtMs } of before.filter((one) => !present.has(one))) {
      if (beat !== null)
        this.#storage.lastHeartbeats.set(vmId, { beat, writtenAt: new Date(beatWrittenAtMs) });
      this.#storage.requests.delete(vmId);
    }
  }

  #tick(index: number, actLagMs: number): void {
    const scenario = this.#scenario;
    const isCalm = this.#atMs >= scenario.calmAtMs;
    // Two scalers take turns as leader. The new leader may not have read the memory of the last one.
    const scaler = scenario.scalers === 1 ? 0 : Math.floor(index / 17) % 2;
    if (!isCalm && this.#dice.chance(scenario.forgets)) {
      this.#memories[scaler] = INITIAL_MEMORY;
      this.#invariants.forgot(this.#now());
    }
    if (scenario.scalers === 2 && index % 17 === 0) {
      this.#invariants.forgot(this.#now());
      const others = this.#memories[1 - scaler];
      if (others !== undefined && this.#dice.chance(0.5)) this.#memories[scaler] = others;
    }
    const observation = observeSimulation({
      atMs: this.#now(),
      scenario,
      work: this.#work,
      cloud: this.#cloud,
      storage: this.#storage,
      has: (kind) => this.#has(kind),
      skewMs: scaler === 0 ? scenario.skewMs : -scenario.skewMs,
      bootMs: this.#bootMs,
      override: this.#override(),
    });
    const memory = this.#memories[scaler] ?? INITIAL_MEMORY;
    const decided = this.#decide(observation, scenario.policy, memory);
    const { reason, actions } = decided.decision;
    this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1);
    // The world goes on between the decision and the action.
    if (actLagMs > 0 && actions.length > 0) this.#advance(actLagMs);
    this.#memories[scaler] = this.#act(actions, decided.memory, observation.atMs);
  }

  #override() {
    const found = this.#scenario.overrides.findLast(
      (one) => one.fromMs <= this.#atMs && this.#atMs < one.untilMs,
    );
    if (found === undefined) return null;
    return { ...found, fromMs: BEGIN_MS + found.fromMs, untilMs: BEGIN_MS + found.untilMs };
  }

  #act(actions: readonly Action[], memory: Memory, seenAtMs: number): Memory {
    const nowMs = this.#now();
    this.#invariants.check(actions, nowMs);
    let remembered = memory;
    for (const action of actions) {
      switch (action.kind) {
        case 'scale-out': {
          const outcome = this.#cloud.scaleOut(action.pool, action.total, nowMs);
          remembered = recordOutcome(remembered, action.pool, outcome, seenAtMs);
          break;
        }
        case 'remove': {
          const outcome = this.#cloud.remove(action.pool, action.instanceIds, nowMs);
          remembered = recordOutcome(remembered, action.pool, outcome, seenAtMs);
          if (outcome.kind === 'accepted') this.#removed += action.instanceIds.length;
          break;
        }
        case 'drain':
          if (action.why === 'idle') this.#scaleIns.push({ atMs: this.#atMs, count: action.vmIds.length });
          for (const vmId of action.vmIds) this.#request(vmId);
          break;
      }
    }
    return remembered;
  }

  #request(vmId: string): void {
    if (this.#storage.requests.has(vmId) || this.#dice.chance(this.#scenario.requestsLost)) return;
    this.#etags += 1;
    this.#storage.requests.set(vmId, `"${this.#etags}"`);
  }
}

/** Whether a fault affects a machine. The same machines are affected for as long as it lasts. */
function affects(fault: SimulatedFault | undefined, { vmId }: SimulatedMachine): boolean {
  if (fault === undefined) return false;
  const number = Number(vmId.slice(3));
  return fault.share >= 1 || (number * 7919) % 100 < fault.share * 100;
}
