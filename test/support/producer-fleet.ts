/**
 * Storage behind a proxy, Redis, workers and any number of producers as processes, which log at level `debug`. Tests kill producers and
 * read from their logs which steps ran. Disposing of the fleet kills every process that it started.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';

import type { JobRequest } from '../../shared/contract/job.ts';
import { Ledger } from '../../shared/redis/ledger.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import { type RunningCommand, startService } from './commands.ts';
import { type TestRedis, startTestRedis } from './servers.ts';
import { type ProducerLog, linesOf } from './step-runs.ts';
import { type StorageProxy, startStorageProxy } from './storage-proxy.ts';
import { type Connections, connect } from './test-redis.ts';
import { uploadJob } from './upload-job.ts';
import { WorkerFixture } from './worker-fixture.ts';

const STEPS = ['split', 'stitch'] as const;
/** The structures in which BullMQ 6 keeps the steps of each state; a finished step stays in `completed`. */
const STEP_STATES = {
  active: 'llen',
  wait: 'llen',
  prioritized: 'zcard',
  delayed: 'zcard',
  failed: 'zcard',
} as const;

interface FleetProducer {
  readonly command: RunningCommand;
  killedAtMs?: number;
}

export class ProducerFleet implements AsyncDisposable {
  readonly fixture: WorkerFixture;
  readonly proxy: StorageProxy;
  readonly ledger: Ledger;
  readonly #redis: TestRedis;
  readonly #connections: Connections;
  /** In the order of their starts, killed ones included. */
  readonly #producers: FleetProducer[] = [];

  private constructor(options: {
    readonly fixture: WorkerFixture;
    readonly proxy: StorageProxy;
    readonly redis: TestRedis;
    readonly connections: Connections;
  }) {
    this.fixture = options.fixture;
    this.proxy = options.proxy;
    this.#redis = options.redis;
    this.#connections = options.connections;
    this.ledger = new Ledger(options.connections.first);
  }

  static async open(): Promise<ProducerFleet> {
    const fixture = await WorkerFixture.open();
    const redis = await startTestRedis();
    const proxy = await startStorageProxy(fixture.storage);
    return new ProducerFleet({ fixture, proxy, redis, connections: await connect(redis) });
  }

  at(name: string): string {
    return path.join(this.fixture.folder, name);
  }

  async startWorker(): Promise<void> {
    await this.fixture.startWorker({}, this.proxy.connection).said('service ready');
  }

  /** The producers share a work folder, as they do on one machine. */
  async startProducer(environment: Readonly<Record<string, string>> = {}): Promise<void> {
    const { media, system } = this.proxy.connection;
    const command = startService('producer', {
      localFolder: this.fixture.folder,
      environment: {
        FRAMEFLEET_LOG_LEVEL: 'debug',
        FRAMEFLEET_MEDIA_STORAGE: media,
        FRAMEFLEET_SYSTEM_STORAGE: system,
        FRAMEFLEET_REDIS_URL: this.#redis.url,
        FRAMEFLEET_WORK_FOLDER: this.at('work'),
        FRAMEFLEET_INTAKE_SCAN_SECONDS: '0.5',
        FRAMEFLEET_RESEND_SECONDS: '10',
        ...environment,
      },
    });
    this.#producers.push({ command });
    await command.said('service ready');
  }

  /** Kills the producer that started a step last. */
  async killLastStarter(): Promise<void> {
    const alive = this.#producers.filter(({ killedAtMs }) => killedAtMs === undefined);
    const lastStart = ({ command }: FleetProducer): string =>
      linesOf(command.heard()).findLast(({ msg }) => msg === 'step started')?.time ?? '';
    const victim = alive.reduce((last, one) => (lastStart(one) > lastStart(last) ? one : last));
    victim.killedAtMs = systemClock.now().getTime();
    victim.command.child.kill('SIGKILL');
    await victim.command.end;
  }

  get logs(): ProducerLog[] {
    return this.#producers.map(({ command, killedAtMs }) => ({
      lines: linesOf(command.heard()),
      killedAtMs,
    }));
  }

  /** Stores a clip of the fleet's folder and its trigger, which a producer finds when it scans. */
  async submit(jobId: string, clip: string, changes: Partial<JobRequest>): Promise<void> {
    const request = { model: { name: 'identity' }, parameters: {}, ...changes };
    await uploadJob(this.fixture.storage.blobs, jobId, () => request, await readFile(this.at(clip)));
  }

  /** How many steps are in each state, without those that have finished. */
  async countSteps(): Promise<Record<keyof typeof STEP_STATES, number>> {
    const { first: redis } = this.#connections;
    const count = async (state: keyof typeof STEP_STATES): Promise<number> => {
      const counts = STEPS.map((step) => redis[STEP_STATES[state]](`bull:framefleet-${step}:${state}`));
      return (await Promise.all(counts)).reduce((sum, one) => sum + one, 0);
    };
    return {
      active: await count('active'),
      wait: await count('wait'),
      prioritized: await count('prioritized'),
      delayed: await count('delayed'),
      failed: await count('failed'),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { command } of this.#producers) command.child.kill('SIGKILL');
    await this.fixture.stopWorkers();
    await this.proxy[Symbol.asyncDispose]();
    this.#connections[Symbol.dispose]();
    await this.#redis[Symbol.asyncDispose]();
    await this.fixture[Symbol.asyncDispose]();
  }
}
