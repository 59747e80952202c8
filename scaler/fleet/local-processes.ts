/**
 * A fleet of worker processes on this machine in place of VMs. They are children of the scaler and end with it.
 *
 *   creating ──ready──▶ running ──remove──▶ deleting ──▶ gone       any phase ──the process exits──▶ gone
 *
 * The capacity of the only pool is the number of processes that are not being removed. A process that exits by itself lowers
 * it. A removal sends SIGTERM: the worker releases its batch and exits, or is killed after the grace period.
 */
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';

import { spawnNode, stopChild, waitForExit } from '../../shared/runtime/child.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { Environment } from '../../shared/runtime/environment.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { STOP_GRACE_MS, type ServiceAnnouncement } from '../../shared/runtime/service.ts';
import { type Fleet, type FleetSnapshot, type Outcome, refusedOutcome } from './fleet.ts';

export const LOCAL_POOL = 'local';
/** Longer than the worker's own grace period. */
export const REMOVE_GRACE_MS = STOP_GRACE_MS + 2_000;

interface LocalInstance {
  readonly vmId: string;
  readonly createdAt: Date;
  readonly child: ChildProcess;
  phase: 'creating' | 'running' | 'deleting';
}

export interface LocalProcessesOptions {
  readonly programPath: string;
  readonly environment: Environment;
  readonly clock: Clock;
  readonly log: Log;
}

export class LocalProcesses implements Fleet {
  readonly #programPath: string;
  readonly #environment: Environment;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #instances = new Map<string, LocalInstance>();
  #isClosed = false;

  constructor(options: LocalProcessesOptions) {
    this.#programPath = options.programPath;
    this.#environment = options.environment;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  async look(signal?: AbortSignal): Promise<FleetSnapshot> {
    await Promise.resolve();
    signal?.throwIfAborted();
    return {
      pools: [
        { name: LOCAL_POOL, kind: 'local', capacity: this.#capacity(), isChanging: false, refusal: null },
      ],
      instances: [...this.#instances.values()].map(({ vmId, phase, createdAt }) => ({
        pool: LOCAL_POOL,
        instanceId: vmId,
        vmId,
        phase,
        createdAt,
      })),
    };
  }

  async scaleOut(pool: string, total: number): Promise<Outcome> {
    await Promise.resolve();
    assertLocal(pool);
    if (this.#isClosed) return refusedOutcome('conflict', 'the fleet is shutting down');
    if (total <= this.#capacity())
      return refusedOutcome('conflict', `the capacity is already ${this.#capacity()} and cannot be lowered`);
    while (this.#capacity() < total) this.#start();
    return { kind: 'accepted' };
  }

  async remove(pool: string, instanceIds: readonly string[]): Promise<Outcome> {
    await Promise.resolve();
    assertLocal(pool);
    for (const instance of instanceIds.flatMap((id) => this.#instances.get(id) ?? [])) {
      if (instance.phase === 'deleting') continue;
      instance.phase = 'deleting';
      void stopChild(instance.child, { graceMs: REMOVE_GRACE_MS });
    }
    return { kind: 'accepted' };
  }

  /** Removes all processes and starts no new ones. Resolves when all have exited. */
  async removeAll(): Promise<void> {
    this.#isClosed = true;
    const leaving = [...this.#instances.values()];
    await this.remove(
      LOCAL_POOL,
      leaving.map(({ vmId }) => vmId),
    );
    await Promise.all(leaving.map(({ child }) => waitForExit(child)));
  }

  #capacity(): number {
    return [...this.#instances.values()].filter(({ phase }) => phase !== 'deleting').length;
  }

  #start(): void {
    const vmId = `local-${randomBytes(4).toString('hex')}`;
    const child = spawnNode(this.#programPath, [], {
      env: { ...this.#environment, FRAMEFLEET_VM_ID: vmId, FRAMEFLEET_HTTP_PORT: '0' },
    });
    const instance: LocalInstance = { vmId, createdAt: this.#clock.now(), child, phase: 'creating' };
    child.on('error', (error) => this.#log.error({ error, vmId }, 'worker process failed'));
    child.on('message', (message) => {
      if ((message as ServiceAnnouncement).type === 'ready' && instance.phase === 'creating')
        instance.phase = 'running';
    });
    this.#instances.set(vmId, instance);
    this.#log.info({ vmId, pid: child.pid }, 'instance started');
    void waitForExit(child).then(({ status, signal }) => {
      this.#instances.delete(vmId);
      this.#log.info({ vmId, status, signal }, 'instance exited');
    });
  }
}

function assertLocal(pool: string): void {
  if (pool !== LOCAL_POOL) throw new Error(`no pool named ${pool}`);
}
