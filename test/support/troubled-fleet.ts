/**
 * A fleet whose storage calls all go through a proxy that injects faults. Each fleet has its own storage, so that several can run
 * at the same time; most of a run is waiting.
 */
import path from 'node:path';

import type { BatchMessage, PoisonMessage, ResultMessage } from '../../shared/contract/messages.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import { collectResults } from './collect-results.ts';
import type { RunningCommand } from './commands.ts';
import { NO_FAULTS, type StorageProxy, startStorageProxy } from './storage-proxy.ts';
import { type TestFrame, WorkerFixture } from './worker-fixture.ts';

/** A call on a lease has a quarter of this. */
const LEASE_SECONDS = 8;

export interface BatchShape {
  readonly count: number;
  /** A multiple of `segmentFrames`: then all segments are alike. */
  readonly frames: readonly TestFrame[];
  readonly segmentFrames?: number;
}

export class TroubledFleet implements AsyncDisposable {
  readonly fixture: WorkerFixture;
  readonly proxy: StorageProxy;

  private constructor(options: { readonly fixture: WorkerFixture; readonly proxy: StorageProxy }) {
    this.fixture = options.fixture;
    this.proxy = options.proxy;
  }

  static async open(): Promise<TroubledFleet> {
    const fixture = await WorkerFixture.open();
    return new TroubledFleet({ fixture, proxy: await startStorageProxy(fixture.storage) });
  }

  /** Sends `count` batches, each for a job of its own. */
  async sendBatches({
    name,
    count,
    frames,
    ...options
  }: BatchShape & { readonly name: string }): Promise<BatchMessage[]> {
    const batches: BatchMessage[] = [];
    for (let index = 0; index < count; index += 1) {
      const batch = await this.fixture.storeBatch(`job-${name}-${index}`, frames, options);
      await this.fixture.send(batch);
      batches.push(batch);
    }
    return batches;
  }

  /** Starts a worker and waits until it is ready. Its cache is empty, so it fetches the model through the proxy too. */
  async startWorker(environment: Readonly<Record<string, string>> = {}): Promise<RunningCommand> {
    const worker = this.fixture.startWorker(
      {
        FRAMEFLEET_LEASE_SECONDS: String(LEASE_SECONDS),
        FRAMEFLEET_MODEL_CACHE: path.join(this.fixture.folder, `cache-${systemClock.monotonicMs()}`),
        ...environment,
      },
      this.proxy.connection,
    );
    await worker.said('service ready');
    return worker;
  }

  /** Waits for the results of all frames and for an empty queue. */
  async finished(batches: readonly BatchMessage[]): Promise<ResultMessage[]> {
    const results = await collectResults(this.fixture, batches);
    await this.fixture.queueIsEmpty();
    return [...results.values()].flat();
  }

  /** The outcome of the batches: of each frame, and on the poison queue. */
  async outcome(
    batches: readonly BatchMessage[],
    results: readonly ResultMessage[],
  ): Promise<{
    readonly failed: ResultMessage['failed'];
    readonly poison: readonly PoisonMessage[];
    readonly unscored: number;
    /** Distinct hashes of the segments of all scored frames. */
    readonly hashes: readonly string[];
  }> {
    const hashes = new Set<string>();
    let unscored = 0;
    for (const { jobId, frameStart, frameEnd } of batches) {
      const scored = await this.fixture.scored(jobId);
      unscored += frameEnd - frameStart - scored.size;
      for (const hash of scored.values()) hashes.add(hash);
    }
    return {
      failed: results.flatMap(({ failed }) => failed),
      poison: await this.fixture.takePoison(),
      unscored,
      hashes: [...hashes],
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.proxy.faults = NO_FAULTS;
    await this.fixture.stopWorkers();
    await this.proxy[Symbol.asyncDispose]();
    await this.fixture[Symbol.asyncDispose]();
  }
}

/** Runs the same batches without faults. Returns the hash of a segment and the number of requests. */
export async function undisturbed(
  shape: BatchShape,
): Promise<{ readonly hash: string; readonly requests: number }> {
  await using fleet = await TroubledFleet.open();
  await fleet.startWorker();
  const [batch, ...others] = await fleet.sendBatches({ name: 'undisturbed', ...shape });
  if (batch === undefined) throw new Error('expected a batch at least');
  await fleet.finished([batch, ...others]);
  const hash = (await fleet.fixture.scored(batch.jobId)).get(0);
  if (hash === undefined) throw new Error('expected a scored frame');
  return { hash, requests: fleet.proxy.requests.total };
}

/**
 * The most requests of the workers while up to a third of all calls fail. A call needs at most 1.5 attempts on average. The requests
 * of an undisturbed run may be needed twice, for attempts and for deliveries that are lost and start again. In addition, each worker
 * sends a heartbeat per second and, while idle, two receives and two checks for a drain request.
 */
export function requestsMax(run: {
  readonly undisturbed: number;
  readonly workers: number;
  readonly wallSeconds: number;
}): number {
  const { workers, wallSeconds } = run;
  return 2 * run.undisturbed + Math.ceil(1.5 * (1 + 2 * 2) * workers * wallSeconds);
}
