/**
 * A storage with models and frames in it, and real workers on it: what the worker's tests and fault suites share. Every worker
 * that was started here is gone when the fixture is disposed of.
 */
import { createHash } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';

import sharp from 'sharp';

import { publishModels } from '../../infra/local/publish-models.ts';
import { PATIENT } from '../../shared/azure/credentials.ts';
import { type WorkQueue, openWorkQueue } from '../../shared/azure/work-queue.ts';
import { frameBlob, modelBlob } from '../../shared/contract/blob-names.ts';
import {
  type BatchMessage,
  type PoisonMessage,
  type ResultMessage,
  decodeMessage,
  encodeMessage,
  poisonMessage,
  resultMessage,
} from '../../shared/contract/messages.ts';
import { QUEUES } from '../../shared/contract/storage-layout.ts';
import { buildBatch } from './build-batch.ts';
import { type RunningCommand, startService } from './commands.ts';
import { eventually } from './eventually.ts';
import { HOSTILE_FRAMES, writeHostileModel } from './hostile-model.ts';
import { writeIdentityModel } from './identity-model.ts';
import { type TestStorage, startTestStorage, testFolder } from './servers.ts';

/** A frame in storage: of a plain colour of the hostile model's, bytes that are no picture, or nothing at all. */
export type TestFrame = keyof typeof HOSTILE_FRAMES | 'undecodable' | 'missing';

const FRAME_SIZE = 32;

export class WorkerFixture implements AsyncDisposable {
  readonly storage: TestStorage;
  readonly folder: string;
  readonly batches: WorkQueue;
  readonly results: WorkQueue;
  readonly poison: WorkQueue;
  readonly #models: Map<string, BatchMessage['model']>;
  readonly #workers: RunningCommand[] = [];

  private constructor(parts: {
    readonly storage: TestStorage;
    readonly folder: string;
    readonly queues: readonly [WorkQueue, WorkQueue, WorkQueue];
    readonly models: Map<string, BatchMessage['model']>;
  }) {
    this.storage = parts.storage;
    this.folder = parts.folder;
    [this.batches, this.results, this.poison] = parts.queues;
    this.#models = parts.models;
  }

  static async open(): Promise<WorkerFixture> {
    const folder = await testFolder();
    const storage = await startTestStorage();
    const open = (name: (typeof QUEUES)[keyof typeof QUEUES]) => openWorkQueue(storage.accounts.system, name);
    const queues = await Promise.all([
      open(QUEUES.frameBatches),
      open(QUEUES.batchResults),
      open(QUEUES.frameBatchesPoison),
    ]);
    const modelFolder = path.join(folder, 'models');
    await writeIdentityModel(modelFolder);
    await writeHostileModel(modelFolder);
    const fixture = new WorkerFixture({ storage, folder, queues, models: new Map() });
    await fixture.publish(modelFolder);
    return fixture;
  }

  /** Models for batches of this fixture, from a folder with a folder for each. */
  async publish(modelFolder: string): Promise<void> {
    const { blobs } = this.storage;
    await publishModels({ blobs, folder: modelFolder });
    for (const name of await readdir(modelFolder)) {
      const manifest = await blobs.get('models', modelBlob({ name, version: '1' }, 'model.json'));
      const { sha256 } = JSON.parse(String(manifest)) as { sha256: string };
      this.#models.set(name, { name, version: '1', sha256 });
    }
  }

  /** Impatient, so that tests are quick: a lease of 6 s, looks twice a second, stuck after 4 s. */
  startWorker(
    environment: Readonly<Record<string, string>> = {},
    connection: TestStorage['connection'] = this.storage.connection,
  ): RunningCommand {
    const worker = startService('worker', {
      localFolder: this.folder,
      environment: {
        FRAMEFLEET_MEDIA_STORAGE: connection.media,
        FRAMEFLEET_SYSTEM_STORAGE: connection.system,
        FRAMEFLEET_MODEL_CACHE: path.join(this.folder, 'cache'),
        FRAMEFLEET_VM_ID: `vm-${path.basename(this.folder).toLowerCase().slice(-6)}-${this.#workers.length}`,
        FRAMEFLEET_LEASE_SECONDS: '6',
        FRAMEFLEET_IDLE_POLL_SECONDS_MAX: '0.5',
        FRAMEFLEET_HEARTBEAT_SECONDS: '1',
        FRAMEFLEET_STUCK_SECONDS: '4',
        FRAMEFLEET_FRAMES_IN_FLIGHT: '4',
        ...environment,
      },
    });
    this.#workers.push(worker);
    return worker;
  }

  /** A job of one batch, its frames in storage. */
  async storeBatch(
    jobId: string,
    frames: readonly TestFrame[],
    { model = 'hostile', size = FRAME_SIZE }: { readonly model?: string; readonly size?: number } = {},
  ): Promise<BatchMessage> {
    const reference = this.#models.get(model);
    if (reference === undefined) throw new Error(`expected a model of the fixture, received ${model}`);
    const bytes = await framesOfColours(size);
    for (const [index, frame] of frames.entries()) {
      const body = frame === 'undecodable' ? 'this is no picture' : bytes.get(frame);
      if (body !== undefined) await this.storage.blobs.put('frames', frameBlob(jobId, index), body);
    }
    return buildBatch({
      jobId,
      batchIndex: 0,
      frameStart: 0,
      frameEnd: frames.length,
      model: reference,
      parameters: {},
    });
  }

  async send(batch: BatchMessage): Promise<void> {
    await this.batches.send(encodeMessage(batch));
  }

  /** The next result that a worker sends, whoever's job. */
  async nextResult(bound: { readonly boundMs?: number } = {}): Promise<ResultMessage> {
    const message = await eventually(
      'a result comes',
      () => this.results.receive({ visibilityTimeoutSeconds: 60 }),
      bound,
    );
    await this.results.remove(message);
    const decoded = decodeMessage(message.text, resultMessage);
    if (decoded.kind !== 'valid') throw new Error('expected a valid result');
    return decoded.message;
  }

  /** Results until every frame of the batch is accounted for; returns them all. */
  async resultsOf(batch: BatchMessage): Promise<ResultMessage[]> {
    const results: ResultMessage[] = [];
    const open = new Set(
      Array.from({ length: batch.frameEnd - batch.frameStart }, (_, i) => batch.frameStart + i),
    );
    while (open.size > 0) {
      const result = await this.nextResult();
      if (result.jobId !== batch.jobId) throw new Error(`expected results of ${batch.jobId} only`);
      results.push(result);
      const resolved = [...result.scored, ...result.failed.flatMap(({ frames }) => frames)];
      for (const [start, end] of resolved)
        for (let index = start; index < end; index += 1) open.delete(index);
    }
    return results;
  }

  async queueIsEmpty(): Promise<void> {
    await eventually('the queue is empty', async () => (await this.batches.countApprox()) === 0);
  }

  /** Hash of each scored frame, by its number. */
  async scored(jobId: string): Promise<Map<number, string>> {
    const hashes = new Map<number, string>();
    for await (const { name } of this.storage.blobs.list('scored', { prefix: `${jobId}/` })) {
      if (!name.endsWith('.jpg')) continue;
      const bytes = (await this.storage.blobs.get('scored', name)) ?? '';
      hashes.set(Number(path.basename(name, '.jpg')), createHash('sha256').update(bytes).digest('hex'));
    }
    return hashes;
  }

  /** What tells whether a scored frame was written again, by its name. */
  async etags(jobId: string): Promise<Map<string, string>> {
    const etags = new Map<string, string>();
    for await (const { name, etag } of this.storage.blobs.list('scored', { prefix: `${jobId}/` }))
      etags.set(name, etag);
    return etags;
  }

  /** How many frames of a job are scored: cheaper than all their hashes. */
  async countScored(jobId: string): Promise<number> {
    let count = 0;
    for await (const { name } of this.storage.blobs.list('scored', { prefix: `${jobId}/` }))
      count += name.endsWith('.jpg') ? 1 : 0;
    return count;
  }

  /** Takes every entry off the poison queue. */
  async takePoison(): Promise<PoisonMessage[]> {
    const entries: PoisonMessage[] = [];
    for (;;) {
      const message = await this.poison.receive({ visibilityTimeoutSeconds: 60 });
      if (message === undefined) return entries;
      await this.poison.remove(message);
      const decoded = decodeMessage(message.text, poisonMessage);
      if (decoded.kind !== 'valid') throw new Error('expected a valid entry in poison');
      entries.push(decoded.message);
    }
  }

  /** Takes everything off the queues, in flight or not: the next test begins with nothing. */
  async clear(): Promise<void> {
    const queues = await this.storage.accounts.system.queues(PATIENT);
    for (const { name } of [this.batches, this.results, this.poison])
      await queues.getQueueClient(name).clearMessages();
  }

  async stopWorkers(): Promise<void> {
    const workers = this.#workers.filter(({ child }) => child.exitCode === null && child.signalCode === null);
    for (const { child } of workers) child.kill('SIGTERM');
    await Promise.all(workers.map(({ end }) => end));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { child } of this.#workers) child.kill('SIGKILL');
    await this.storage[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** The process of the engine that a worker started last. */
export function enginePid(worker: RunningCommand): number {
  const pids = [...worker.heard().matchAll(/"pid":(\d+),"msg":"engine started"/g)].map(([, pid]) =>
    Number(pid),
  );
  const pid = pids.at(-1);
  if (pid === undefined) throw new Error('expected the worker to have started an engine');
  return pid;
}

/** How often a text stands in another. */
export function countIn(text: string, part: string): number {
  return text.split(part).length - 1;
}

async function framesOfColours(size: number): Promise<Map<string, Buffer>> {
  const frames = new Map<string, Buffer>();
  for (const [name, background] of Object.entries(HOSTILE_FRAMES)) {
    const create = { width: size, height: size, channels: 3, background } as const;
    frames.set(name, await sharp({ create }).jpeg({ quality: 95 }).toBuffer());
  }
  return frames;
}
