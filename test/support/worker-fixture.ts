/**
 * Storage with models and frames, and real workers that use it. Shared by the worker's integration tests and the fault tests.
 * Disposing of the fixture kills every worker that it started.
 */
import { createHash } from 'node:crypto';
import { readFile, readdir, rm } from 'node:fs/promises';
import path from 'node:path';

import sharp from 'sharp';

import { listOutcomes } from '../../producer/jobs/stored-outcomes.ts';
import { jpegPieceFormat, packJpegs } from '../../producer/media/jpeg-pieces.ts';
import { PATIENT } from '../../shared/azure/credentials.ts';
import { publishModels } from '../../shared/azure/publish-models.ts';
import { type WorkQueue, openWorkQueue } from '../../shared/azure/work-queue.ts';
import { framesOfSegment, jobPrefix, pieceBlob } from '../../shared/contract/blob-names.ts';
import {
  type BatchMessage,
  type PoisonMessage,
  type ResultMessage,
  decodeMessage,
  encodeMessage,
  poisonMessage,
  resultMessage,
} from '../../shared/contract/messages.ts';
import { type ModelManifest, modelManifest } from '../../shared/contract/model-manifest.ts';
import { countOf, indicesOf } from '../../shared/contract/ranges.ts';
import { QUEUES } from '../../shared/contract/storage-layout.ts';
import { buildBatch } from './build-batch.ts';
import { firstSplit } from './build-job.ts';
import { type RunningCommand, startService } from './commands.ts';
import { eventually } from './eventually.ts';
import { HOSTILE_FRAMES, writeHostileModel } from './hostile-model.ts';
import { writeIdentityModel } from './identity-model.ts';
import { type TestStorage, startTestStorage, testFolder } from './servers.ts';

/** A frame of one colour: the hostile model behaves accordingly. */
export type TestFrame = keyof typeof HOSTILE_FRAMES;

const FRAME_SIZE = 32;
/** Of a batch, unless a test is about longer ones. */
const SEGMENT_FRAMES = 4;

export class WorkerFixture implements AsyncDisposable {
  readonly storage: TestStorage;
  readonly folder: string;
  readonly batches: WorkQueue;
  readonly results: WorkQueue;
  readonly poison: WorkQueue;
  readonly #models: Map<string, BatchMessage['model']>;
  readonly #workers: RunningCommand[] = [];

  private constructor(options: {
    readonly storage: TestStorage;
    readonly folder: string;
    readonly queues: readonly [WorkQueue, WorkQueue, WorkQueue];
    readonly models: Map<string, BatchMessage['model']>;
  }) {
    this.storage = options.storage;
    this.folder = options.folder;
    [this.batches, this.results, this.poison] = options.queues;
    this.#models = options.models;
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

  /** Publishes models for the batches of this fixture. The folder has a folder for each model. */
  async publish(modelFolder: string): Promise<void> {
    await publishModels(this.storage.blobs, modelFolder);
    for (const folder of await readdir(modelFolder)) {
      const manifest = JSON.parse(
        await readFile(path.join(modelFolder, folder, 'model.json'), 'utf8'),
      ) as unknown;
      this.useModel(modelManifest.parse(manifest));
    }
  }

  /** For batches with a model that is published already. */
  useModel({ name, version, sha256, float16 }: ModelManifest): void {
    this.#models.set(name, { name, version, sha256, ...(float16 && { float16Sha256: float16.sha256 }) });
  }

  /** Starts a worker with short times, so that tests are quick: a lease of 6 s, two receives a second, stuck after 4 s. */
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
        ...environment,
      },
    });
    this.#workers.push(worker);
    return worker;
  }

  /** Stores the frames of a job with one batch. Returns the batch. */
  async storeBatch(
    jobId: string,
    frames: readonly TestFrame[],
    {
      model = 'hostile',
      size = FRAME_SIZE,
      segmentFrames = SEGMENT_FRAMES,
    }: { readonly model?: string; readonly size?: number; readonly segmentFrames?: number } = {},
  ): Promise<BatchMessage> {
    const reference = this.#models.get(model);
    if (reference === undefined) throw new Error(`expected a model of the fixture, received ${model}`);
    const pieceFormat = jpegPieceFormat({ width: size, height: size });
    const pieceFrames = frames.length;
    const jpegs = await framesOfColours(size);
    const source = (async function* () {
      for (const frame of frames) yield jpegs.get(frame) ?? Buffer.alloc(0);
      await Promise.resolve();
      return undefined;
    })();
    for await (const { bytes } of packJpegs(source, { ...pieceFormat, pieceFrames }))
      await this.storage.blobs.put('pieces', pieceBlob(firstSplit(jobId), 0, pieceFormat), bytes);
    return buildBatch({
      jobId,
      batchIndex: 0,
      frameStart: 0,
      frameEnd: frames.length,
      pieces: [[0, pieceFrames]],
      pieceFormat,
      segmentFrames,
      model: reference,
      parameters: {},
    });
  }

  async send(batch: BatchMessage): Promise<void> {
    await this.batches.send(encodeMessage(batch));
  }

  /** Waits for the next result of a delivery that has ended, of any job. Drops reports of progress. */
  async nextResult(bound: { readonly boundMs?: number } = {}): Promise<ResultMessage> {
    for (;;) {
      const report = await this.nextReport(bound);
      if (report.wallSeconds > 0) return report;
    }
  }

  /** Waits for the next result or report of progress, which has no duration. */
  async nextReport(bound: { readonly boundMs?: number } = {}): Promise<ResultMessage> {
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

  /** Waits for results until every frame of the batch is accounted for. Returns all of them. */
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

  /** The hash of the segment of each scored frame, by the index of the frame. Frames that show a replacement are left out. */
  async scored(jobId: string): Promise<Map<number, string>> {
    const hashes = new Map<number, string>();
    const { segments } = await listOutcomes(this.storage.blobs, firstSplit(jobId));
    for (const { name, frames, failed } of segments) {
      const bytes = (await this.storage.blobs.get('scored', name)) ?? '';
      const hash = createHash('sha256').update(bytes).digest('hex');
      for (const frameIndex of indicesOf([frames]))
        if (!failed.includes(frameIndex)) hashes.set(frameIndex, hash);
    }
    return hashes;
  }

  /** The etag of each segment, by its name. It changes if the segment is written again. */
  async etags(jobId: string): Promise<Map<string, string>> {
    const etags = new Map<string, string>();
    for await (const { name, etag } of this.storage.blobs.list('scored', { prefix: jobPrefix(jobId) }))
      if (framesOfSegment(name) !== undefined) etags.set(name, etag);
    return etags;
  }

  /** The number of scored frames of a job. Cheaper than `scored`. */
  async countScored(jobId: string): Promise<number> {
    const { segments } = await listOutcomes(this.storage.blobs, firstSplit(jobId));
    return segments.reduce((count, { frames, failed }) => count + countOf([frames]) - failed.length, 0);
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

  /** Removes all messages from the queues, in flight or not. */
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

/** The pid of the engine that a worker started last. */
export function enginePid(worker: RunningCommand): number {
  const pids = [...worker.heard().matchAll(/"pid":(\d+),"msg":"engine started"/g)].map(([, pid]) =>
    Number(pid),
  );
  const pid = pids.at(-1);
  if (pid === undefined) throw new Error('expected the worker to have started an engine');
  return pid;
}

/** How often a text contains a part. */
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
