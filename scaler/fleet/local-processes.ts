/**
 * A fleet of worker processes on this machine, in place of VMs. They are children of the scaler and end with it.
 *
 * To remove one is to tell it (SIGTERM): it releases what it holds and ends by itself, or is killed when its grace is over.
 */
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';

import { exited, spawnNode, stopChild } from '../../shared/runtime/child.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { Environment } from '../../shared/runtime/environment.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { STOP_GRACE_MS } from '../../shared/runtime/service.ts';
import type { Fleet, Instance } from './fleet.ts';

/** The worker ends by itself before this. */
export const REMOVE_GRACE_MS = STOP_GRACE_MS + 2_000;

interface LocalInstance extends Instance {
  readonly child: ChildProcess;
}

export class LocalProcesses implements Fleet {
  readonly #programPath: string;
  readonly #environment: Environment;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #instances = new Map<string, LocalInstance>();

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

  list(): Promise<readonly Instance[]> {
    return Promise.resolve([...this.#instances.values()].map(({ vmId, startedAt }) => ({ vmId, startedAt })));
  }

  scaleOut(total: number): Promise<void> {
    while (this.#instances.size < total) this.#start();
    return Promise.resolve();
  }

  async remove(vmIds: readonly string[]): Promise<void> {
    const leaving = vmIds.flatMap((vmId) => this.#instances.get(vmId) ?? []);
    await Promise.all(leaving.map(({ child }) => stopChild(child, { graceMs: REMOVE_GRACE_MS })));
  }

  async removeAll(): Promise<void> {
    await this.remove([...this.#instances.keys()]);
  }

  #start(): void {
    const vmId = `local-${randomBytes(4).toString('hex')}`;
    const child = spawnNode(this.#programPath, [], {
      env: { ...this.#environment, FRAMEFLEET_VM_ID: vmId, FRAMEFLEET_HTTP_PORT: '0' },
    });
    child.on('error', (error) => this.#log.error({ error, vmId }, 'worker process failed'));
    this.#instances.set(vmId, { vmId, startedAt: this.#clock.now(), child });
    this.#log.info({ vmId, pid: child.pid }, 'instance started');
    void exited(child).then(({ status, signal }) => {
      this.#instances.delete(vmId);
      this.#log.info({ vmId, status, signal }, 'instance gone');
    });
  }
}
