/**
 * A fleet of worker processes on this machine, in place of VMs. They are children of the scaler and end with it.
 *
 *   creating ──ready──▶ running ──remove──▶ deleting ──▶ gone       from any of them to gone: the process ended by itself
 *
 * The one pool's capacity is the number of processes that are there to stay: one that ends by itself lowers it. To remove one is
 * to tell it (SIGTERM): it releases what it holds and ends by itself, or is killed when its grace is over.
 */
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';

import { spawnNode, stopChild, waitForExit } from '../../shared/runtime/child.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { Environment } from '../../shared/runtime/environment.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { STOP_GRACE_MS, type ServiceAnnouncement } from '../../shared/runtime/service.ts';
import type { Fleet, FleetView, Outcome } from './fleet.ts';
import { refusedHere } from './refused-here.ts';

export const LOCAL_POOL = 'local';
/** The worker ends by itself before this. */
export const REMOVE_GRACE_MS = STOP_GRACE_MS + 2_000;

interface LocalInstance {
  readonly vmId: string;
  readonly createdAt: Date;
  readonly child: ChildProcess;
  phase: 'creating' | 'running' | 'deleting';
}

export class LocalProcesses implements Fleet {
  readonly #programPath: string;
  readonly #environment: Environment;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #instances = new Map<string, LocalInstance>();
  #isClosed = false;

  constructor(parts: {
    readonly programPath: string;
    readonly environment: Environment;
    readonly clock: Clock;
    readonly log: Log;
  }) {
    this.#programPath = parts.programPath;
    this.#environment = parts.environment;
    this.#clock = parts.clock;
    this.#log = parts.log;
  }

  async look(signal?: AbortSignal): Promise<FleetView> {
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
    if (this.#isClosed) return refusedHere('conflict', 'the fleet is being taken down');
    if (total <= this.#capacity())
      return refusedHere('conflict', `the capacity is ${this.#capacity()} already, and is never lowered`);
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

  /** For good. Returns once all have gone. */
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
      this.#log.info({ vmId, status, signal }, 'instance gone');
    });
  }
}

function assertLocal(pool: string): void {
  if (pool !== LOCAL_POOL) throw new Error(`there is no pool named ${pool}`);
}
