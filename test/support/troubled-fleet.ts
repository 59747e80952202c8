/**
 * A fleet whose every call to storage goes through a proxy that makes trouble, and what came of it. Each has a storage of
 * its own, so that several can be in trouble at the same time: most of it is waiting.
 */
import path from 'node:path';

import type { BatchMessage, PoisonMessage, ResultMessage } from '../../shared/contract/messages.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import { collectResults } from './collect-results.ts';
import type { RunningCommand } from './commands.ts';
import { NO_FAULTS, type StorageProxy, startStorageProxy } from './storage-proxy.ts';
import { type TestFrame, WorkerFixture } from './worker-fixture.ts';

/** Calls on a lease have a quarter of it. */
const LEASE_SECONDS = 8;
export const FRAMES_IN_FLIGHT = 8;

export class TroubledFleet implements AsyncDisposable {
  readonly fixture: WorkerFixture;
  readonly proxy: StorageProxy;

  private constructor(parts: { readonly fixture: WorkerFixture; readonly proxy: StorageProxy }) {
    this.fixture = parts.fixture;
    this.proxy = parts.proxy;
  }

  static async open(): Promise<TroubledFleet> {
    const fixture = await WorkerFixture.open();
    return new TroubledFleet({ fixture, proxy: await startStorageProxy(fixture.storage) });
  }

  /** A job each, on the queue. */
  async sendBatches({
    name,
    count,
    frames,
  }: {
    readonly name: string;
    readonly count: number;
    readonly frames: readonly TestFrame[];
  }): Promise<BatchMessage[]> {
    const batches: BatchMessage[] = [];
    for (let index = 0; index < count; index += 1) {
      const batch = await this.fixture.storeBatch(`job-${name}-${index}`, frames);
      await this.fixture.send(batch);
      batches.push(batch);
    }
    return batches;
  }

  /** Ready for work; its engine has no model yet, and finds none on disk: it is fetched through the trouble, too. */
  async startWorker(environment: Readonly<Record<string, string>> = {}): Promise<RunningCommand> {
    const worker = this.fixture.startWorker(
      {
        FRAMEFLEET_LEASE_SECONDS: String(LEASE_SECONDS),
        FRAMEFLEET_FRAMES_IN_FLIGHT: String(FRAMES_IN_FLIGHT),
        FRAMEFLEET_MODEL_CACHE: path.join(this.fixture.folder, `cache-${systemClock.monotonicMs()}`),
        ...environment,
      },
      this.proxy.connection,
    );
    await worker.said('service ready');
    return worker;
  }

  /** Results of all frames, when no message is left of the batches. */
  async finished(batches: readonly BatchMessage[]): Promise<ResultMessage[]> {
    const results = await collectResults(this.fixture, batches);
    await this.fixture.queueIsEmpty();
    return [...results.values()].flat();
  }

  /** What became of the batches: of each frame, and on the poison queue. */
  async outcome(
    batches: readonly BatchMessage[],
    results: readonly ResultMessage[],
  ): Promise<{
    readonly failed: ResultMessage['failed'];
    readonly poison: readonly PoisonMessage[];
    readonly unscored: number;
    /** Of all scored frames, without repetitions. */
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

/** What one of these frames looks like when it is scored on a good day, and how many requests such a day takes. */
export async function undisturbed(shape: {
  readonly count: number;
  readonly frames: readonly TestFrame[];
}): Promise<{ readonly hash: string; readonly requests: number }> {
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
 * Requests of the workers while up to a third of its calls fails, at most. A call takes at most 1.5 tries on average. What a good day
 * takes may be asked twice: tries, and deliveries that are lost and begun again. By the second and the
 * worker, however long it takes, there is a heartbeat, and two looks at the queue and for a drain request while there is nothing to do.
 */
export function requestsMax({
  undisturbed: onGoodDay,
  workers,
  wallSeconds,
}: {
  readonly undisturbed: number;
  readonly workers: number;
  readonly wallSeconds: number;
}): number {
  return 2 * onGoodDay + Math.ceil(1.5 * (1 + 2 * 2) * workers * wallSeconds);
}
