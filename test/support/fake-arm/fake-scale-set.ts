/**
 * A uniform scale set as in Azure: a requested capacity, machines, and operations that take time. `advance` moves its state to a
 * point in time.
 *
 *   Creating ──boots──▶ Succeeded ──delete──▶ Deleting ──▶ gone        Creating ──40 minutes──▶ Failed
 *
 * A deletion lowers the capacity when it ends, an eviction at once. Instance ids are reused, vmIds never. Every change changes the
 * etag.
 */
import type { SeededRandom } from '../seeded-random.ts';
import { ALLOCATION_FAILED, PROVISIONING_TIMED_OUT } from './answers.ts';
import type { FakeMachine } from './machine.ts';
import type { ArmOperation, OperationError } from './operation.ts';

const ALLOCATION_MS = 30_000;
const BOOT_TIMEOUT_MS = 40 * 60_000;

export interface ScaleSetSpec {
  readonly name: string;
  readonly kind: 'spot' | 'on-demand';
  readonly evictionPolicy: 'Delete' | 'Deallocate';
  readonly size: string;
  /** The family of sizes, as named by its quota. */
  readonly family: string;
  readonly coresPerInstance: number;
  /** Unset: no zones. */
  readonly zones?: readonly string[];
  readonly bootMs: number;
  readonly deleteMs: number;
}

/** What happens to machines of a raise that Azure cannot provide. */
export type Shortfall = 'missing' | 'failed' | 'rolled-back';

export class FakeScaleSet {
  readonly spec: ScaleSetSpec;
  readonly machines = new Map<string, FakeMachine>();
  capacity = 0;
  /** How many more machines Azure can provide. */
  stock = Number.POSITIVE_INFINITY;
  shortfall: Shortfall = 'missing';
  /** Applies to machines created from now on. */
  neverBoot = false;
  readonly #random: SeededRandom;
  readonly #operations = new Map<string, ArmOperation>();
  #outcome: 'Succeeded' | 'Failed' = 'Succeeded';
  #revision = 1;
  #nowMs: number;

  constructor(
    spec: ScaleSetSpec,
    { random, nowMs }: { readonly random: SeededRandom; readonly nowMs: number },
  ) {
    this.spec = spec;
    this.#random = random;
    this.#nowMs = nowMs;
  }

  get etag(): string {
    return `"${this.#revision}"`;
  }

  get provisioningState(): string {
    return this.isBusy() ? 'Updating' : this.#outcome;
  }

  /** Cores of all machines, including stopped ones. */
  get cores(): number {
    return this.machines.size * this.spec.coresPerInstance;
  }

  isBusy(kind?: ArmOperation['kind']): boolean {
    return [...this.#operations.values()].some(
      (one) => one.status === 'InProgress' && (kind === undefined || one.kind === kind),
    );
  }

  operation(id: string): ArmOperation | undefined {
    return this.#operations.get(id);
  }

  /** How many machines a capacity needs in addition. */
  missing(total: number): number {
    return Math.max(0, total - this.machines.size);
  }

  advance(nowMs: number): void {
    this.#nowMs = nowMs;
    for (const machine of this.machines.values())
      if (machine.state === 'Creating' && machine.bootedAtMs !== null && machine.bootedAtMs <= nowMs)
        Object.assign(machine, { state: 'Succeeded', power: 'running' });
    for (const operation of this.#operations.values())
      if (operation.status === 'InProgress') this.#advanceOperation(operation);
  }

  raise(total: number): ArmOperation {
    const missing = this.missing(total);
    const given = Math.min(missing, this.stock);
    this.stock -= given;
    const ids = Array.from({ length: given }, () => this.#create('Creating'));
    if (this.shortfall === 'failed') for (let left = given; left < missing; left += 1) this.#create('Failed');
    this.capacity = total;
    return this.#begin('raise', ids, given < missing ? ALLOCATION_FAILED : null);
  }

  /** Null if none of the machines exists. */
  delete(instanceIds: readonly string[]): ArmOperation | null {
    const leaving = instanceIds.flatMap((id) => this.machines.get(id) ?? []);
    for (const machine of leaving) machine.state = 'Deleting';
    return leaving.length === 0
      ? null
      : this.#begin(
          'delete',
          leaving.map(({ instanceId }) => instanceId),
          null,
        );
  }

  /** Evicts a spot machine. */
  evict(instanceId: string): void {
    const machine = this.machines.get(instanceId);
    if (machine === undefined) throw new Error(`no machine ${instanceId} to evict`);
    if (this.spec.evictionPolicy === 'Deallocate') machine.power = 'deallocated';
    else this.#take([instanceId]);
    this.touch();
  }

  /** Changes something other than the capacity, as another client would. */
  touch(): void {
    this.#revision += 1;
  }

  #begin(
    kind: ArmOperation['kind'],
    ids: readonly string[],
    plannedError: OperationError | null,
  ): ArmOperation {
    const operation: ArmOperation = {
      id: this.#uuid(),
      kind,
      startedAtMs: this.#nowMs,
      instanceIds: new Set(ids),
      plannedError,
      status: 'InProgress',
      error: null,
    };
    this.#operations.set(operation.id, operation);
    this.touch();
    return operation;
  }

  #advanceOperation(operation: ArmOperation): void {
    const tookMs = this.#nowMs - operation.startedAtMs;
    if (operation.kind === 'delete') {
      if (tookMs < this.spec.deleteMs) return;
      this.#take([...operation.instanceIds]);
      this.#end(operation, null);
      return;
    }
    const booting = [...operation.instanceIds]
      .flatMap((id) => this.machines.get(id) ?? [])
      .filter(({ state }) => state === 'Creating');
    if (tookMs >= BOOT_TIMEOUT_MS && booting.length > 0) {
      for (const machine of booting) machine.state = 'Failed';
      this.#end(operation, PROVISIONING_TIMED_OUT);
    } else if (booting.length === 0 && (operation.plannedError === null || tookMs >= ALLOCATION_MS)) {
      if (operation.plannedError !== null && this.shortfall === 'rolled-back')
        this.capacity = this.machines.size;
      this.#end(operation, operation.plannedError);
    }
  }

  #end(operation: ArmOperation, error: OperationError | null): void {
    operation.status = error === null ? 'Succeeded' : 'Failed';
    operation.error = error;
    this.#outcome = operation.status;
    this.touch();
  }

  #take(instanceIds: readonly string[]): void {
    const taken = instanceIds.filter((id) => this.machines.delete(id));
    this.capacity = Math.max(0, this.capacity - taken.length);
  }

  #create(state: 'Creating' | 'Failed'): string {
    let free = 0;
    while (this.machines.has(String(free))) free += 1;
    const instanceId = String(free);
    this.machines.set(instanceId, {
      instanceId,
      vmId: this.#uuid(),
      createdAtMs: this.#nowMs,
      bootedAtMs: this.neverBoot ? null : this.#nowMs + this.spec.bootMs,
      state,
      power: state === 'Creating' ? 'starting' : null,
    });
    return instanceId;
  }

  #uuid(): string {
    const hex = Array.from({ length: 32 }, () => Math.floor(this.#random() * 16).toString(16)).join('');
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
  }
}
