/**
 * A fleet in memory that keeps the contract of fleets, for tests of the code that uses a fleet. An instance is `creating` in the
 * first look and `running` in the next; it is `deleting` in one look and gone in the next.
 */
import {
  type Fleet,
  type FleetSnapshot,
  type Instance,
  type Outcome,
  type Refusal,
  refusedOutcome,
} from '../../scaler/fleet/fleet.ts';
import type { Clock } from '../../shared/runtime/clock.ts';

type StoredInstance = { -readonly [K in keyof Instance]: Instance[K] };

export class MemoryFleet implements Fleet {
  readonly #pool: string;
  readonly #clock: Clock;
  #instances: StoredInstance[] = [];
  #created = 0;
  /** The changes requested so far, in order. */
  readonly calls: string[] = [];
  /** If set, changes are refused with it. */
  refusal: Refusal | null = null;
  /** If set, looks throw it. */
  unreadable: Error | null = null;

  constructor({ pool = 'gpu', clock }: { readonly pool?: string; readonly clock: Clock }) {
    this.#pool = pool;
    this.#clock = clock;
  }

  async look(signal?: AbortSignal): Promise<FleetSnapshot> {
    await Promise.resolve();
    signal?.throwIfAborted();
    if (this.unreadable !== null) throw this.unreadable;
    const snapshot: FleetSnapshot = {
      pools: [
        { name: this.#pool, kind: 'spot', capacity: this.#capacity(), isChanging: false, refusal: null },
      ],
      instances: this.#instances.map((one) => ({ ...one })),
    };
    this.#instances = this.#instances.filter(({ phase }) => phase !== 'deleting');
    for (const one of this.#instances) if (one.phase === 'creating') one.phase = 'running';
    return snapshot;
  }

  async scaleOut(pool: string, total: number): Promise<Outcome> {
    await Promise.resolve();
    this.#assertPool(pool);
    this.calls.push(`scale-out ${total}`);
    if (this.refusal !== null) return { kind: 'refused', ...this.refusal };
    if (total <= this.#capacity()) return refusedOutcome('conflict', 'never lowered');
    while (this.#capacity() < total) this.#create();
    return { kind: 'accepted' };
  }

  async remove(pool: string, instanceIds: readonly string[]): Promise<Outcome> {
    await Promise.resolve();
    this.#assertPool(pool);
    this.calls.push(`remove ${instanceIds.join(' ')}`);
    if (this.refusal !== null) return { kind: 'refused', ...this.refusal };
    for (const one of this.#instances) if (instanceIds.includes(one.instanceId)) one.phase = 'deleting';
    return { kind: 'accepted' };
  }

  #create(): void {
    const vmId = `vm-${(this.#created += 1)}`;
    const createdAt = this.#clock.now();
    // The lowest free id, as in a scale set.
    let id = 0;
    while (this.#instances.some(({ instanceId }) => instanceId === String(id))) id += 1;
    this.#instances.push({ pool: this.#pool, instanceId: String(id), vmId, phase: 'creating', createdAt });
  }

  #capacity(): number {
    return this.#instances.filter(({ phase }) => phase !== 'deleting').length;
  }

  #assertPool(pool: string): void {
    if (pool !== this.#pool) throw new Error(`there is no pool named ${pool}`);
  }
}
