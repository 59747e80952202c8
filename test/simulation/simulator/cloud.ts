/**
 * A simulated cloud: pools that are slow, refuse, provide only part of what was asked for, and evict machines. `invariants.ts` checks the
 * scaler's actions before they get here.
 */
import type { FleetSnapshot, Outcome, Pool, Refusal } from '../../../scaler/fleet/fleet.ts';
import type { Dice } from './dice.ts';
import { type Fate, SimulatedMachine } from './machine.ts';
import type { Scenario, SimulatedFaultKind } from './scenario.ts';

interface SimulatedPool {
  readonly name: string;
  readonly kind: Pool['kind'];
  capacity: number;
  changingUntilMs: number;
  refusal: Refusal | null;
}

const REFUSAL: Refusal = {
  reason: 'capacity',
  message: 'simulated',
  capacityThatFits: null,
  retryAfterMs: null,
};
const NOTICE_MS = 30_000;
const FAILURE_MS_MAX = 45 * 60_000;

export class SimulatedCloud {
  readonly #scenario: Scenario;
  readonly #dice: Dice;
  readonly #has: (kind: SimulatedFaultKind) => boolean;
  readonly #pools: SimulatedPool[];
  machines: SimulatedMachine[] = [];
  #created = 0;
  #evictAtMs = 0;
  #isCalm = false;

  constructor(scenario: Scenario, dice: Dice, has: (kind: SimulatedFaultKind) => boolean) {
    this.#scenario = scenario;
    this.#dice = dice;
    this.#has = has;
    this.#pools = scenario.pools.map((pool) => ({ ...pool, capacity: 0, changingUntilMs: 0, refusal: null }));
  }

  get pools(): readonly Readonly<SimulatedPool>[] {
    return this.#pools;
  }

  /** Deleted machines disappear, eviction notices run out, and spot machines are evicted. */
  advance(atMs: number): void {
    for (const machine of this.machines) {
      const isTaken =
        machine.phase !== 'deleting' && machine.phase !== 'stopped' && machine.takenAtMs <= atMs;
      if (!isTaken) continue;
      const pool = this.#pool(machine.pool);
      if (!this.#scenario.isDeallocated && pool !== undefined) pool.capacity -= 1;
      machine.end(this.#scenario.isDeallocated ? 'stopped' : 'deleting', atMs);
    }
    this.machines = this.machines.filter(
      ({ phase, takenAtMs }) => phase !== 'deleting' || atMs < takenAtMs + NOTICE_MS,
    );
    if (!this.#has('evictions') || atMs < this.#evictAtMs) return;
    this.#evictAtMs = atMs + this.#dice.wait(60_000);
    const spot = this.machines.filter(({ pool, phase }) => pool === 'spot' && phase === 'running');
    const [victim] = spot.slice(this.#dice.whole(0, Math.max(0, spot.length - 1)));
    if (victim === undefined) return;
    const hasNotice = this.#dice.chance(0.7);
    if (hasNotice) victim.notice(atMs);
    // Sometimes the machine stays after all.
    if (hasNotice && this.#dice.chance(0.1)) return;
    victim.takenAtMs = Math.min(victim.takenAtMs, atMs + (hasNotice ? NOTICE_MS : 0));
  }

  look(atMs: number): FleetSnapshot {
    const pools = this.#pools.map((pool) => {
      const isChanging = atMs < pool.changingUntilMs;
      const refusal = isChanging ? null : pool.refusal;
      if (!isChanging) pool.refusal = null;
      return { name: pool.name, kind: pool.kind, capacity: pool.capacity, isChanging, refusal };
    });
    const instances = this.machines.map(({ pool, instanceId, vmId, phase, createdAtMs }) => ({
      pool,
      instanceId,
      vmId,
      phase,
      createdAt: new Date(createdAtMs),
    }));
    return { pools, instances };
  }

  scaleOut(name: string, total: number, atMs: number): Outcome {
    const pool = this.#pool(name);
    if (pool === undefined || atMs < pool.changingUntilMs || total <= pool.capacity) {
      return { kind: 'refused', ...REFUSAL, reason: 'conflict' };
    }
    const refusal = this.#refusalOf(pool, total);
    if (refusal !== null) return { kind: 'refused', ...refusal };
    const fraction = !this.#isCalm && this.#dice.chance(0.05) ? this.#dice.between(0, 1) : 1;
    const made = Math.floor((total - pool.capacity) * fraction);
    // The rest fails later, as allocations on Azure do.
    if (made < total - pool.capacity) pool.refusal = REFUSAL;
    for (let index = 0; index < made; index += 1) this.machines.push(this.#create(pool.name, atMs));
    pool.capacity += made;
    pool.changingUntilMs = atMs + this.#dice.spread(4_000, 120_000);
    return { kind: 'accepted' };
  }

  remove(name: string, instanceIds: readonly string[], atMs: number): Outcome {
    const pool = this.#pool(name);
    if (pool === undefined || atMs < pool.changingUntilMs) {
      return { kind: 'refused', ...REFUSAL, reason: 'conflict' };
    }
    if (this.#has('throttled'))
      return { kind: 'refused', ...REFUSAL, reason: 'throttled', retryAfterMs: 90_000 };
    if (this.#has('unreachable')) return { kind: 'refused', ...REFUSAL, reason: 'unreachable' };
    const wanted = new Set(instanceIds);
    for (const machine of this.machines) {
      if (machine.pool !== name || !wanted.has(machine.instanceId) || machine.phase === 'deleting') continue;
      machine.end('deleting', atMs);
      machine.takenAtMs = atMs;
      pool.capacity -= 1;
    }
    pool.changingUntilMs = atMs + this.#dice.spread(2_000, 60_000);
    return { kind: 'accepted' };
  }

  calm(atMs: number): void {
    this.#isCalm = true;
    for (const machine of this.machines) machine.heal(atMs);
  }

  #refusalOf({ kind, capacity }: SimulatedPool, total: number): Refusal | null {
    if (this.#has('throttled')) return { ...REFUSAL, reason: 'throttled', retryAfterMs: 90_000 };
    if (this.#has('unreachable')) return { ...REFUSAL, reason: 'unreachable' };
    if (kind === 'spot' && this.#has('no-spot')) return REFUSAL;
    const { quota } = this.#scenario;
    if (this.#has('quota') && total > quota) {
      return { ...REFUSAL, reason: 'quota', capacityThatFits: quota > capacity ? quota : null };
    }
    return null;
  }

  #create(pool: string, atMs: number): SimulatedMachine {
    this.#created += 1;
    const { bootMs, neverBoots, hangs, faulty, calledFailed } = this.#scenario;
    const dice = this.#dice;
    const happens = (share: number): boolean => !this.#isCalm && share > 0 && dice.chance(share);
    const fate: Fate = {
      bootMs: bootMs * dice.between(0.7, 1.1),
      neverBoots: this.#has('broken-image') || happens(neverBoots),
      hangsAtMs: happens(hangs) ? atMs + dice.between(0, FAILURE_MS_MAX) : Infinity,
      isFaulty: happens(faulty),
      calledFailedAtMs: happens(calledFailed) ? atMs + dice.between(0, FAILURE_MS_MAX) : Infinity,
    };
    // Ids are used again, as soon as their owner is out of the list.
    const used = new Set(
      this.machines.filter((one) => one.pool === pool).map(({ instanceId }) => instanceId),
    );
    let id = 0;
    while (used.has(String(id))) id += 1;
    return new SimulatedMachine({
      pool,
      instanceId: String(id),
      vmId: `vm-${this.#created}`,
      createdAtMs: atMs,
      fate,
    });
  }

  #pool(name: string): SimulatedPool | undefined {
    return this.#pools.find((one) => one.name === name);
  }
}
