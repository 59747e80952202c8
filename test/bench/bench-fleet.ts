/**
 * A fleet to measure: storage behind a proxy that counts requests, Redis, one producer and any number of workers, each a real
 * process with the settings it has in an image. Runs a job and says what it cost: wall time, CPU by program, requests, bytes.
 */
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { publishModels } from '../../shared/azure/publish-models.ts';
import { openWorkQueue } from '../../shared/azure/work-queue.ts';
import { statusBlob, triggerBlob } from '../../shared/contract/blob-names.ts';
import { type JobStatus, jobStatus } from '../../shared/contract/job.ts';
import { CONTAINER_NAMES, CONTAINERS, QUEUES } from '../../shared/contract/storage-layout.ts';
import { Ledger } from '../../shared/redis/ledger.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import { type RunningCommand, enqueue, startService } from '../support/commands.ts';
import { eventually } from '../support/eventually.ts';
import { writeIdentityModel } from '../support/identity-model.ts';
import {
  type TestRedis,
  type TestStorage,
  startTestRedis,
  startTestStorage,
  testFolder,
} from '../support/servers.ts';
import { type StorageProxy, startStorageProxy } from '../support/storage-proxy.ts';
import { connect } from '../support/test-redis.ts';
import { blobCreatedEvent } from '../support/upload-job.ts';
import { writeClip } from './clips.ts';
import { startInstantWorker } from './instant-worker.ts';
import { cpuSecondsOf } from './process-stat.ts';

const OWN_MODELS = fileURLToPath(new URL('../../worker/models', import.meta.url));
export const DEVICE_HOOK = fileURLToPath(new URL('./device-hook.mjs', import.meta.url));
const MEMORY_HOOK = fileURLToPath(new URL('./memory-hook.mjs', import.meta.url));
/** The model that costs nothing. */
export const IDENTITY = ['--model', 'identity'];
const WARM_UP = { width: 320, height: 180, frames: 25 };
const POLL_MS = 25;
const HOOK_FLUSH_MS = 600;
const SCALER_REPORT_MS = 10_000;

export interface FleetShape {
  /** Their number; `instant` stands for a fleet that takes no time and no CPU. */
  readonly workers?: number | 'instant';
  /** Each frame waits this long for a device that uses no CPU, in place of running the model. */
  readonly simulatedDeviceMs?: number;
  readonly workerEnvironment?: Readonly<Record<string, string>>;
}

export interface JobCost {
  readonly jobId: string;
  readonly status: JobStatus;
  /** From the start of `enqueue` to the published status. */
  readonly wallSeconds: number;
  readonly cpuSeconds: { readonly producer: number; readonly worker: number; readonly redis: number };
  /** Of the workers: the time within `session.run`, as the workers report it. */
  readonly inferSeconds: number;
  readonly requests: number;
  /** By container, of this job. */
  readonly bytes: Readonly<Record<string, number>>;
}

export class BenchFleet implements AsyncDisposable {
  readonly folder: string;
  readonly storage: TestStorage;
  readonly #proxy: StorageProxy;
  readonly #redis: TestRedis;
  readonly #producer: RunningCommand;
  readonly #workers: readonly RunningCommand[];
  #instantWorker: AsyncDisposable | undefined;
  #scaler: Disposable | undefined;

  private constructor(
    folder: string,
    servers: readonly [TestStorage, StorageProxy, TestRedis],
    shape: FleetShape,
  ) {
    this.folder = folder;
    [this.storage, this.#proxy, this.#redis] = servers;
    this.#producer = startService('producer', {
      localFolder: folder,
      environment: {
        ...this.#storageEnvironment,
        FRAMEFLEET_REDIS_URL: this.#redis.url,
        FRAMEFLEET_WORK_FOLDER: path.join(folder, 'work'),
        FRAMEFLEET_BENCH_MEMORY: this.#memoryPath,
        NODE_OPTIONS: `--import ${MEMORY_HOOK}`,
      },
    });
    const { simulatedDeviceMs, workerEnvironment = {} } = shape;
    const workers = shape.workers === 'instant' ? 0 : (shape.workers ?? 1);
    this.#workers = Array.from({ length: workers }, (_, index) =>
      startService('worker', {
        localFolder: folder,
        environment: {
          ...this.#storageEnvironment,
          FRAMEFLEET_MODEL_CACHE: path.join(folder, 'cache'),
          FRAMEFLEET_VM_ID: `vm-${index}`,
          FRAMEFLEET_IDLE_POLL_SECONDS_MAX: '0.5',
          FRAMEFLEET_BENCH_RUNS: this.#runsPath(index),
          FRAMEFLEET_BENCH_MEMORY: this.#memoryPath,
          NODE_OPTIONS: `--import ${DEVICE_HOOK} --import ${MEMORY_HOOK}`,
          ...(simulatedDeviceMs === undefined
            ? {}
            : { FRAMEFLEET_BENCH_DEVICE_MS: String(simulatedDeviceMs) }),
          ...workerEnvironment,
        },
      }),
    );
  }

  private static async open(shape: FleetShape): Promise<BenchFleet> {
    const folder = await testFolder();
    const storage = await startTestStorage();
    const models = path.join(folder, 'models');
    await writeIdentityModel(models);
    await publishModels(storage.blobs, models);
    await publishModels(storage.blobs, OWN_MODELS);
    const servers = [storage, await startStorageProxy(storage), await startTestRedis()] as const;
    const fleet = new BenchFleet(folder, servers, shape);
    fleet.#scaler = await reportEngines(fleet.#redis, Math.max(1, fleet.#workers.length));
    if (shape.workers === 'instant') fleet.#instantWorker = await startInstantWorker(storage);
    await Promise.all([fleet.#producer, ...fleet.#workers].map((service) => service.said('service ready')));
    return fleet;
  }

  /** A fleet of which each worker has loaded the model, so that start-up costs are not measured again. */
  static async openWarm(
    folder: string,
    shape: FleetShape = {},
    model: readonly string[] = IDENTITY,
  ): Promise<BenchFleet> {
    const clip = await writeClip(folder, WARM_UP);
    const fleet = await BenchFleet.open(shape);
    try {
      // With several workers, so many batches that each of them receives one.
      const batches = fleet.#workers.length > 1 ? ['--batch', '1'] : [];
      do await fleet.run(clip, [...model, ...batches]);
      while (!(await fleet.#isEachWarm()));
      return fleet;
    } catch (error) {
      await fleet[Symbol.asyncDispose]();
      throw error;
    }
  }

  get #storageEnvironment(): Readonly<Record<string, string>> {
    const { media, system } = this.#proxy.connection;
    return { FRAMEFLEET_MEDIA_STORAGE: media, FRAMEFLEET_SYSTEM_STORAGE: system };
  }

  get #memoryPath(): string {
    return path.join(this.folder, 'memory');
  }

  /** Memory in use of a program of the fleet after a collection of garbage, in KiB. */
  async liveKibOf(pid: number): Promise<number> {
    const file = `${this.#memoryPath}.${pid}`;
    await rm(file, { force: true });
    process.kill(pid, 'SIGUSR2');
    const text = await eventually('the program has measured its memory', () =>
      readFile(file, 'utf8').then(
        (line) => line || undefined,
        () => undefined,
      ),
    );
    return Number(text) / 1024;
  }

  #runsPath(worker: number): string {
    return path.join(this.folder, `runs-${worker}.ndjson`);
  }

  /** The process ids of the programs, by name. */
  get pids(): { readonly producer: number; readonly workers: readonly number[]; readonly redis: number } {
    const idOf = ({ child }: RunningCommand): number => child.pid ?? 0;
    return { producer: idOf(this.#producer), workers: this.#workers.map(idOf), redis: this.#redis.pid ?? 0 };
  }

  /** Runs a job to its end. `onStatus` sees each status that is published meanwhile. */
  async run(
    file: string,
    options: readonly string[],
    onStatus: (status: JobStatus) => Promise<void> | void = () => undefined,
  ): Promise<JobCost> {
    const before = await this.#cpuSeconds();
    const requestsBefore = this.#proxy.requests.total;
    const startedMs = performance.now();
    const { stdout, stderr } = await enqueue([file, '--json', '--detach', '--no-doctor', ...options], {
      localFolder: this.folder,
      environment: this.#storageEnvironment,
    }).end;
    if (!stdout.startsWith('{')) throw new Error(`enqueue failed: ${stdout}${stderr}`);
    const { jobId } = JSON.parse(stdout) as { jobId: string };
    // As Azure does when a blob is created.
    const events = await openWorkQueue(this.storage.accounts.system, QUEUES.mediaEvents);
    await events.send(JSON.stringify(blobCreatedEvent('incoming', triggerBlob(jobId))));
    const status = await this.#ended(jobId, onStatus);
    const wallSeconds = (performance.now() - startedMs) / 1000;
    if (status.state !== 'completed') throw new Error(`the job failed: ${JSON.stringify(status.error)}`);
    const after = await this.#cpuSeconds();
    return {
      jobId,
      status,
      wallSeconds,
      cpuSeconds: {
        producer: after.producer - before.producer,
        worker: after.worker - before.worker,
        redis: after.redis - before.redis,
      },
      inferSeconds: (await this.sessionTimes(startedMs)).busyMs / 1000,
      requests: this.#proxy.requests.total - requestsBefore,
      bytes: await this.#bytesOf(jobId),
    };
  }

  /** Of all sessions since an instant of this process's clock: from the first run to the last one, and within runs. */
  async sessionTimes(sinceMs: number): Promise<{ readonly spanMs: number; readonly busyMs: number }> {
    // The hook writes what it has collected a few times a second.
    await systemClock.sleep(HOOK_FLUSH_MS);
    const texts = await Promise.all(
      this.#workers.map((_, index) => readFile(this.#runsPath(index), 'utf8').catch(() => '')),
    );
    const runs = texts
      .flatMap((text) => text.split('\n').filter((line) => line !== ''))
      .map((line) => JSON.parse(line) as readonly [call: string, start: number, end: number])
      // Unix time, because processes do not share a monotonic clock in Node.
      .filter(([call, start]) => call === 'run' && start >= performance.timeOrigin + sinceMs);
    const spanMs = Math.max(...runs.map(([, , end]) => end)) - Math.min(...runs.map(([, start]) => start));
    return { spanMs, busyMs: runs.reduce((sum, [, start, end]) => sum + end - start, 0) };
  }

  async #isEachWarm(): Promise<boolean> {
    const runs = await Promise.all(
      this.#workers.map((_, index) => readFile(this.#runsPath(index), 'utf8').catch(() => '')),
    );
    return runs.every((text) => text.includes('"run"'));
  }

  async #ended(jobId: string, onStatus: (status: JobStatus) => Promise<void> | void): Promise<JobStatus> {
    return eventually(
      'the job has ended',
      async () => {
        const bytes = await this.storage.blobs.get('results', statusBlob(jobId));
        if (bytes === undefined) return undefined;
        const status = jobStatus.parse(JSON.parse(bytes.toString('utf8')));
        await onStatus(status);
        return status.state === 'completed' || status.state === 'failed' ? status : undefined;
      },
      { boundMs: 3_600_000, pollMsMax: POLL_MS },
    );
  }

  async #cpuSeconds(): Promise<JobCost['cpuSeconds']> {
    const { producer, workers, redis } = this.pids;
    const each = await Promise.all(workers.map(cpuSecondsOf));
    return {
      producer: await cpuSecondsOf(producer),
      worker: each.reduce((sum, seconds) => sum + seconds, 0),
      redis: await cpuSecondsOf(redis),
    };
  }

  async #bytesOf(jobId: string): Promise<Record<string, number>> {
    const bytes: Record<string, number> = {};
    for (const container of CONTAINER_NAMES.filter((name) => CONTAINERS[name] === 'media')) {
      bytes[container] = 0;
      for await (const { sizeBytes } of this.storage.blobs.list(container, { prefix: `${jobId}/` }))
        bytes[container] += sizeBytes;
    }
    return bytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#scaler?.[Symbol.dispose]();
    await this.#instantWorker?.[Symbol.asyncDispose]();
    const services = [this.#producer, ...this.#workers];
    for (const { child } of services) child.kill('SIGTERM');
    await Promise.all(services.map(({ end }) => end));
    await this.#proxy[Symbol.asyncDispose]();
    await this.#redis[Symbol.asyncDispose]();
    await this.storage[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** In place of a scaler, which says how many engines there are: dispatch keeps batches for each of them on the queue. */
async function reportEngines(redis: TestRedis, engines: number): Promise<Disposable> {
  const connections = await connect(redis);
  const ledger = new Ledger(connections.first);
  await ledger.recordEngines(engines);
  const timer = setInterval(() => void ledger.recordEngines(engines), SCALER_REPORT_MS);
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
      connections[Symbol.dispose]();
    },
  };
}
