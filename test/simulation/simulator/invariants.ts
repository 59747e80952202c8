/**
 * What must never happen, whatever the simulated world does, checked at every action. PURE, except for the list that it fills.
 *
 *   busy-removed      a machine was removed while its worker held a lease
 *   above-maximum     more machines were asked for than the maximum capacity
 *   above-spending    the machines asked for cost more per hour than the spending limit
 *   too-many-writes   a scaler that had not lost its memory changed a pool more than four times in a minute
 *   written-twice     one decision changed a pool twice, or a pool that was changing
 *   never-zero        machines stayed after the faults and the work were over
 *   never-done        work stayed after the faults were over
 */
import type { Action } from '../../../scaler/decide/decision.ts';
import type { SimulatedCloud } from './cloud.ts';
import type { Scenario } from './scenario.ts';

const VIOLATIONS = [
  'busy-removed',
  'above-maximum',
  'above-spending',
  'too-many-writes',
  'written-twice',
  'never-zero',
  'never-done',
] as const;
export interface Violation {
  readonly kind: (typeof VIOLATIONS)[number];
  readonly atMs: number;
  readonly detail: string;
}

const WRITES_A_MINUTE_MAX = 4;
const MINUTE_MS = 60_000;

export class Invariants {
  readonly #scenario: Scenario;
  readonly #cloud: SimulatedCloud;
  readonly #writes = new Map<string, number[]>();
  #forgotAtMs = -Infinity;
  readonly violations: Violation[] = [];

  constructor(scenario: Scenario, cloud: SimulatedCloud) {
    this.#scenario = scenario;
    this.#cloud = cloud;
  }

  forgot(atMs: number): void {
    this.#forgotAtMs = atMs;
  }

  broken(kind: Violation['kind'], atMs: number, detail: string): void {
    this.violations.push({ kind, atMs, detail });
  }

  /** Call just before the actions are carried out. */
  check(actions: readonly Action[], atMs: number): void {
    const written = actions.flatMap((action) => (action.kind === 'drain' ? [] : [action.pool]));
    if (new Set(written).size < written.length) this.broken('written-twice', atMs, written.join(' '));
    for (const action of actions) {
      if (action.kind === 'remove') this.#checkRemoval(action, atMs);
      if (action.kind !== 'drain') this.#countWrite(action.pool, atMs);
    }
    this.#checkGrowth(actions, atMs);
  }

  #checkRemoval({ pool, instanceIds, why }: Extract<Action, { kind: 'remove' }>, atMs: number): void {
    const ids = new Set(instanceIds);
    for (const machine of this.#cloud.machines) {
      const isNamed = machine.pool === pool && ids.has(machine.instanceId) && machine.phase !== 'deleting';
      if (!isNamed || !machine.holdsLease(atMs)) continue;
      this.broken('busy-removed', atMs, `${machine.vmId}, ${machine.state}, removed as ${why}`);
    }
  }

  #checkGrowth(actions: readonly Action[], atMs: number): void {
    const totals = new Map(this.#cloud.pools.map(({ name, capacity }) => [name, capacity]));
    const growths = actions.filter((action) => action.kind === 'scale-out');
    for (const { pool, total } of growths) totals.set(pool, Math.max(total, totals.get(pool) ?? 0));
    if (growths.length === 0) return;
    const { capacityMax, pricePerHour, spendingPerHourMax } = this.#scenario.policy;
    const sum = [...totals.values()].reduce((total, one) => total + one, 0);
    if (sum > capacityMax) this.broken('above-maximum', atMs, `${sum} of ${capacityMax}`);
    const perHour = [...totals].reduce((money, [pool, one]) => money + one * (pricePerHour[pool] ?? 0), 0);
    if (perHour > (spendingPerHourMax ?? Infinity) + 1e-6) {
      this.broken('above-spending', atMs, `${perHour} of ${spendingPerHourMax}`);
    }
  }

  #countWrite(pool: string, atMs: number): void {
    const recent = (this.#writes.get(pool) ?? []).filter((one) => atMs - one < MINUTE_MS);
    recent.push(atMs);
    this.#writes.set(pool, recent);
    if (recent.length > WRITES_A_MINUTE_MAX && atMs - this.#forgotAtMs > MINUTE_MS) {
      this.broken('too-many-writes', atMs, `${recent.length} to ${pool}`);
    }
  }
}
