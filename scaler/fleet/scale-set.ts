/**
 * One scale set as a pool of the fleet.
 *
 *   unseen ──look──▶ seen ──scaleOut──▶ stale ──look──▶ seen       a total is asked for only of what was seen, and once
 *
 *   idle ──scaleOut, remove──▶ changing ──look: the operation is over──▶ idle      at most one of either at a time
 *
 * A change is handed in and remembered; each look asks once what became of it, and a refusal is told once. Another process knows
 * nothing of it, but sees by the scale set's state that it is changing. An operation that cannot be asked any more is over when
 * the scale set says that nothing is under way.
 *
 * A removal does not wait for a raise: a machine that never boots holds one up for most of an hour.
 */
import type { Clock } from '../../shared/runtime/clock.ts';
import { type Raise, refusalOf } from './arm-errors.ts';
import { armFailureOf } from './arm-failure.ts';
import type { ComputeCalls, MachineReading, Operation, ScaleSetReading } from './compute-calls.ts';
import type { Instance, Outcome, Pool, Refusal } from './fleet.ts';
import { instancePhase } from './instance-phase.ts';
import { Operations } from './operations.ts';
import { refusedHere } from './refused-here.ts';
import { WriteGuard } from './write-guard.ts';

/** Of a scale set with nothing under way. */
const SETTLED = new Set(['Succeeded', 'Failed', 'Canceled']);

interface Seen {
  readonly reading: ScaleSetReading;
  readonly isChanging: boolean;
  /** On their way out not included. */
  readonly instanceIds: ReadonlySet<string>;
}

export class ScaleSet {
  readonly name: string;
  readonly #kind: Raise['kind'];
  readonly #calls: ComputeCalls;
  readonly #clock: Clock;
  readonly #guard = new WriteGuard();
  readonly #operations: Operations;
  /** When a machine was first seen, where Azure does not say when it was made. */
  #firstSeenAt = new Map<string, Date>();
  #seen: Seen | null = null;
  #isStale = true;
  #isRemoving = false;

  constructor(parts: {
    readonly name: string;
    readonly kind: Raise['kind'];
    readonly calls: ComputeCalls;
    readonly clock: Clock;
  }) {
    this.name = parts.name;
    this.#kind = parts.kind;
    this.#calls = parts.calls;
    this.#clock = parts.clock;
    this.#operations = new Operations(parts.calls, parts.clock);
  }

  /** Throws what the SDK throws. What became of the last change, `takeRefusal` tells. */
  async look(
    signal: AbortSignal | undefined,
  ): Promise<{ readonly pool: Omit<Pool, 'refusal'>; readonly instances: readonly Instance[] }> {
    this.#isStale = true;
    await this.#operations.ask();
    const reading = await this.#calls.readScaleSet(this.name, signal);
    // After the scale set: machines that have come or gone in between change its etag, and the next write finds out.
    const machines = await this.#calls.readMachines(this.name, signal);
    const isSettled = SETTLED.has(reading.provisioningState);
    if (isSettled) this.#operations.forgetLost();
    const isChanging = !isSettled || this.#operations.areRunning();
    const instances = this.#instances(machines);
    const staying = instances.filter(({ phase }) => phase !== 'deleting');
    this.#seen = { reading, isChanging, instanceIds: new Set(staying.map(({ instanceId }) => instanceId)) };
    this.#isStale = false;
    return {
      pool: { name: this.name, kind: this.#kind, capacity: reading.sku.capacity, isChanging },
      instances,
    };
  }

  /** Once: to be called when it is sure to be heard. */
  takeRefusal(): Refusal | null {
    return this.#operations.takeRefusal();
  }

  async scaleOut(total: number): Promise<Outcome> {
    if (this.#seen === null || this.#isStale)
      return refusedHere('conflict', 'not looked at since the last change');
    const { reading, isChanging, instanceIds } = this.#seen;
    const { capacity } = reading.sku;
    const from = Math.min(capacity, instanceIds.size);
    if (isChanging) return refusedHere('conflict', 'a change is under way');
    if (total < capacity || total <= from)
      return refusedHere('conflict', `the capacity is ${capacity} already, and is never lowered`);
    const waitMs = this.#guard.admit(this.#clock.monotonicMs());
    if (waitMs > 0) return refusedHere('throttled', 'as many changes as a minute bears', waitMs);
    // Whatever comes of it: only another look tells how things stand then.
    this.#isStale = true;
    const raise = { kind: this.#kind, from, to: total };
    return this.#handIn({ raise, instanceIds: [] }, () =>
      this.#calls.changeCapacity(this.name, reading, total),
    );
  }

  async remove(instanceIds: readonly string[]): Promise<Outcome> {
    const seen = this.#seen?.instanceIds;
    if (seen === undefined) return refusedHere('conflict', 'not looked at yet');
    const leaving = [...new Set(instanceIds)].filter(
      (id) => seen.has(id) && !this.#operations.isRemoving(id),
    );
    if (leaving.length === 0) return { kind: 'accepted' };
    if (this.#isRemoving || this.#operations.areRemoving())
      return refusedHere('conflict', 'a removal is under way');
    const waitMs = this.#guard.admit(this.#clock.monotonicMs());
    if (waitMs > 0) return refusedHere('throttled', 'as many changes as a minute bears', waitMs);
    this.#isStale = true;
    this.#isRemoving = true;
    try {
      return await this.#handIn({ raise: null, instanceIds: leaving }, () =>
        this.#calls.deleteMachines(this.name, leaving),
      );
    } finally {
      this.#isRemoving = false;
    }
  }

  async #handIn(
    change: { readonly raise: Raise | null; readonly instanceIds: readonly string[] },
    call: () => Promise<Operation>,
  ): Promise<Outcome> {
    try {
      this.#operations.add({ ...change, operation: await call() });
      return { kind: 'accepted' };
    } catch (error) {
      const failure = armFailureOf(error, this.#clock.now().getTime());
      // All of them have gone by themselves.
      if (change.raise === null && failure.status === 404) return { kind: 'accepted' };
      const refusal: Refusal = refusalOf(failure, change.raise);
      if (refusal.retryAfterMs !== null)
        this.#guard.closeFor(refusal.retryAfterMs, this.#clock.monotonicMs());
      return { kind: 'refused', ...refusal };
    }
  }

  #instances(machines: readonly MachineReading[]): Instance[] {
    const seenBefore = this.#firstSeenAt;
    this.#firstSeenAt = new Map();
    return machines.map(({ instanceId, vmId = null, provisioningState, timeCreated, instanceView }) => {
      const key = vmId ?? instanceId;
      const firstSeenAt = seenBefore.get(key) ?? this.#clock.now();
      this.#firstSeenAt.set(key, firstSeenAt);
      const codes = instanceView?.statuses?.flatMap(({ code }) => code ?? []) ?? [];
      return {
        pool: this.name,
        instanceId,
        vmId,
        phase: instancePhase(provisioningState, codes),
        createdAt: timeCreated ?? firstSeenAt,
      };
    });
  }
}
