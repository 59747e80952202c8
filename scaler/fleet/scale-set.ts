/**
 * One scale set as a pool of the fleet.
 *
 *   unseen ──look──▶ seen ──scaleOut──▶ stale ──look──▶ seen       a raise needs a fresh look
 *
 *   idle ──scaleOut, remove──▶ changing ──look: the operation has ended──▶ idle      at most one of each at a time
 *
 * An accepted change is remembered. Each look polls it once, and a refusal is returned once. Another process does not know the
 * operation, but sees that the scale set is changing.
 *
 * A removal does not wait for a raise: an instance that never boots keeps a raise running for most of an hour.
 */
import type { Clock } from '../../shared/runtime/clock.ts';
import { type Raise, refusalFrom } from './arm-errors.ts';
import { armFailureOf } from './arm-failure.ts';
import type { ComputeCalls, OperationHandle, ScaleSetResource, ScaleSetVm } from './compute-calls.ts';
import { type Instance, type Outcome, type Pool, type Refusal, refusedOutcome } from './fleet.ts';
import { instancePhase } from './instance-phase.ts';
import { PendingOperations } from './operations.ts';
import { WriteGuard } from './write-guard.ts';

/** Provisioning states without a change in progress. */
const SETTLED = new Set(['Succeeded', 'Failed', 'Canceled']);

interface ScaleSetView {
  readonly resource: ScaleSetResource;
  readonly isChanging: boolean;
  /** Without those that are being removed. */
  readonly instanceIds: ReadonlySet<string>;
}

export interface ScaleSetOptions {
  readonly name: string;
  readonly kind: Raise['kind'];
  readonly calls: ComputeCalls;
  readonly clock: Clock;
}

interface PoolView {
  readonly pool: Omit<Pool, 'refusal'>;
  readonly instances: readonly Instance[];
}

interface PendingChange {
  /** Null for a removal. */
  readonly raise: Raise | null;
  readonly instanceIds: readonly string[];
}

export class ScaleSet {
  readonly name: string;
  readonly #kind: Raise['kind'];
  readonly #calls: ComputeCalls;
  readonly #clock: Clock;
  readonly #guard = new WriteGuard();
  readonly #operations: PendingOperations;
  /** When each instance was first seen, for instances without a creation time. */
  #firstSeenAt = new Map<string, Date>();
  #seen: ScaleSetView | null = null;
  #isStale = true;
  #isRemoving = false;

  constructor(options: ScaleSetOptions) {
    this.name = options.name;
    this.#kind = options.kind;
    this.#calls = options.calls;
    this.#clock = options.clock;
    this.#operations = new PendingOperations(options.calls, options.clock);
  }

  /** Throws the SDK's errors. `takeRefusal` returns the failure of an earlier change. */
  async look(signal: AbortSignal | undefined): Promise<PoolView> {
    this.#isStale = true;
    await this.#operations.poll();
    const resource = await this.#calls.readScaleSet(this.name, signal);
    // After the scale set: an instance that appears or disappears in between changes the etag, so the next write fails.
    const vms = await this.#calls.readInstances(this.name, signal);
    const isSettled = SETTLED.has(resource.provisioningState);
    if (isSettled) this.#operations.dropLost();
    const isChanging = !isSettled || this.#operations.areRunning();
    const instances = this.#instances(vms);
    const staying = instances.filter(({ phase }) => phase !== 'deleting');
    this.#seen = { resource, isChanging, instanceIds: new Set(staying.map(({ instanceId }) => instanceId)) };
    this.#isStale = false;
    return {
      pool: { name: this.name, kind: this.#kind, capacity: resource.sku.capacity, isChanging },
      instances,
    };
  }

  /** Returns each refusal once. Call it only when the result reaches the scaler. */
  takeRefusal(): Refusal | null {
    return this.#operations.takeRefusal();
  }

  async scaleOut(total: number): Promise<Outcome> {
    if (this.#seen === null || this.#isStale)
      return refusedOutcome('conflict', 'no look since the last change');
    const { resource, isChanging, instanceIds } = this.#seen;
    const { capacity } = resource.sku;
    const from = Math.min(capacity, instanceIds.size);
    if (isChanging) return refusedOutcome('conflict', 'a change is in progress');
    if (total < capacity || total <= from)
      return refusedOutcome('conflict', `the capacity is already ${capacity} and cannot be lowered`);
    const waitMs = this.#guard.admit(this.#clock.monotonicMs());
    if (waitMs > 0) return refusedOutcome('throttled', 'too many changes in the last minute', waitMs);
    // Whether or not the call succeeds, the state is unknown until the next look.
    this.#isStale = true;
    const raise = { kind: this.#kind, from, to: total };
    return this.#submit({ raise, instanceIds: [] }, () =>
      this.#calls.changeCapacity(this.name, resource, total),
    );
  }

  async remove(instanceIds: readonly string[]): Promise<Outcome> {
    const seen = this.#seen?.instanceIds;
    if (seen === undefined) return refusedOutcome('conflict', 'no look yet');
    const leaving = [...new Set(instanceIds)].filter(
      (id) => seen.has(id) && !this.#operations.isRemoving(id),
    );
    if (leaving.length === 0) return { kind: 'accepted' };
    if (this.#isRemoving || this.#operations.areRemoving())
      return refusedOutcome('conflict', 'a removal is in progress');
    const waitMs = this.#guard.admit(this.#clock.monotonicMs());
    if (waitMs > 0) return refusedOutcome('throttled', 'too many changes in the last minute', waitMs);
    this.#isStale = true;
    this.#isRemoving = true;
    try {
      return await this.#submit({ raise: null, instanceIds: leaving }, () =>
        this.#calls.deleteInstances(this.name, leaving),
      );
    } finally {
      this.#isRemoving = false;
    }
  }

  async #submit(change: PendingChange, call: () => Promise<OperationHandle>): Promise<Outcome> {
    try {
      this.#operations.add({ ...change, operation: await call() });
      return { kind: 'accepted' };
    } catch (error) {
      const failure = armFailureOf(error, this.#clock.now().getTime());
      // None of the instances exists any more.
      if (change.raise === null && failure.status === 404) return { kind: 'accepted' };
      const refusal: Refusal = refusalFrom(failure, change.raise);
      if (refusal.retryAfterMs !== null)
        this.#guard.closeFor(refusal.retryAfterMs, this.#clock.monotonicMs());
      return { kind: 'refused', ...refusal };
    }
  }

  #instances(vms: readonly ScaleSetVm[]): Instance[] {
    const seenBefore = this.#firstSeenAt;
    this.#firstSeenAt = new Map();
    return vms.map(({ instanceId, vmId = null, provisioningState, timeCreated, instanceView }) => {
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
