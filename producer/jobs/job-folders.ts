/**
 * Room on the local disk: a folder a job, with its source downloaded once for both steps, gone when the job has ended or the
 * producer stops. What a killed producer left is removed by the next one that starts here.
 *
 * The disk has an end: a job counts with its source and a result of that size. Where there is no room for another, the folders of
 * jobs of which no step is running go first (they are fetched again); else the step waits, and jobs that fit go before it.
 */
import { mkdir, mkdtemp, readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import path from 'node:path';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { sourceBlob } from '../../shared/contract/blob-names.ts';
import type { JobRequest } from '../../shared/contract/job.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import { isProcessAlive } from '../../shared/runtime/process-alive.ts';
import { NotNowError, type Step } from './steps.ts';

const FOLDER_PATTERN = /^producer-(\d+)$/;
/** The source, and a result that is about as large. */
const ROOM_PER_SOURCE = 2;
/** With its result it leaves room for a small job beside it. */
const SOURCE_FRACTION_MAX = 0.4;
/** A job ends in minutes; a look costs one call to Redis. */
const REST_MS = 5_000;

/** What a step has while it runs. */
export interface StepRoom extends AsyncDisposable {
  /** Empty at first, and gone with the step. */
  readonly folder: string;
  /** The path of the job's source, downloaded if it is not here. Throws SOURCE_CHANGED where it is not what was enqueued. */
  source(signal: AbortSignal): Promise<string>;
}

interface Place {
  readonly bytes: number;
  stepsRunning: number;
  download: Promise<string> | undefined;
}

export class JobFolders {
  readonly #root: string;
  readonly #blobs: BlobStore;
  readonly #bytesMax: number;
  /** In the order in which they came. */
  readonly #places = new Map<string, Place>();
  /** Under way: the room is there when they are over. */
  readonly #removals = new Set<Promise<void>>();

  private constructor(root: string, { blobs, bytesMax }: { blobs: BlobStore; bytesMax: number }) {
    this.#root = root;
    this.#blobs = blobs;
    this.#bytesMax = bytesMax;
  }

  static async open({
    workFolder,
    workBytesMax,
    blobs,
  }: {
    readonly workFolder: string;
    /** Undefined: what is free now. */
    readonly workBytesMax: number | undefined;
    readonly blobs: BlobStore;
  }): Promise<JobFolders> {
    await mkdir(workFolder, { recursive: true });
    for (const name of await readdir(workFolder)) {
      const pid = FOLDER_PATTERN.exec(name)?.[1];
      if (pid !== undefined && !isProcessAlive(Number(pid)))
        await rm(path.join(workFolder, name), { recursive: true, force: true });
    }
    const root = path.join(path.resolve(workFolder), `producer-${process.pid}`);
    await rm(root, { recursive: true, force: true });
    await mkdir(root, { recursive: true, mode: 0o700 });
    const { bavail, bsize } = await statfs(root);
    return new JobFolders(root, { blobs, bytesMax: workBytesMax ?? bavail * bsize });
  }

  /** Of a source that can be worked here. */
  get sourceBytesMax(): number {
    return Math.floor(this.#bytesMax * SOURCE_FRACTION_MAX);
  }

  /** Throws NotNowError where there is no room for the job. */
  async enter(request: JobRequest, step: Step): Promise<StepRoom> {
    const { jobId } = request;
    // Without a pause in between: whoever comes next finds it taken.
    const place = this.#places.get(jobId) ?? this.#makePlace(request);
    place.stepsRunning += 1;
    try {
      await Promise.all(this.#removals);
      const jobFolder = path.join(this.#root, jobId);
      await mkdir(jobFolder, { recursive: true });
      const folder = await mkdtemp(path.join(jobFolder, `${step}-`));
      return {
        folder,
        source: (signal) => this.#source(request, place, signal),
        [Symbol.asyncDispose]: async () => {
          place.stepsRunning -= 1;
          await rm(folder, { recursive: true, force: true });
        },
      };
    } catch (error) {
      place.stepsRunning -= 1;
      throw error;
    }
  }

  #makePlace({ jobId, source }: JobRequest): Place {
    const bytes = Math.min(source.sizeBytes * ROOM_PER_SOURCE, this.#bytesMax);
    for (const other of this.#idleToLeave(bytes)) this.remove(other).catch(() => undefined); // Waited for in `enter`.
    const place = { bytes, stepsRunning: 0, download: undefined };
    this.#places.set(jobId, place);
    return place;
  }

  /** The jobs whose folders must go, so that there is room for so much. */
  #idleToLeave(bytes: number): string[] {
    const used = [...this.#places.values()].reduce((sum, place) => sum + place.bytes, 0);
    let missing = used + bytes - this.#bytesMax;
    const leaving: string[] = [];
    for (const [jobId, place] of this.#places) {
      if (missing <= 0) break;
      if (place.stepsRunning > 0) continue;
      leaving.push(jobId);
      missing -= place.bytes;
    }
    if (missing <= 0) return leaving;
    throw new NotNowError(`no room for ${bytes} bytes beside ${used} of ${this.#bytesMax}`, {
      restMs: REST_MS,
    });
  }

  #source(request: JobRequest, place: Place, signal: AbortSignal): Promise<string> {
    if (place.download !== undefined) return place.download;
    const download = this.#download(request, signal);
    place.download = download;
    download.catch(() => (place.download = undefined));
    return download;
  }

  async #download({ jobId, source }: JobRequest, signal: AbortSignal): Promise<string> {
    const folder = path.join(this.#root, jobId);
    const blobName = sourceBlob(jobId, source.name);
    const partial = path.join(folder, 'source.part');
    await this.#blobs.getFile('incoming', blobName, partial, { signal });
    const [{ size }, found] = await Promise.all([
      stat(partial),
      this.#blobs.stat('incoming', blobName, { signal }),
    ]);
    if (size !== source.sizeBytes || found?.etag !== source.etag) {
      throw new PermanentError(
        'SOURCE_CHANGED',
        `The video ${JSON.stringify(source.name)} was changed after it was enqueued.`,
        {
          hint: 'Enqueue it again, and leave the upload alone until it is done.',
        },
      );
    }
    const complete = path.join(folder, 'source');
    await rename(partial, complete);
    return complete;
  }

  /** When the job has ended. */
  async remove(jobId: string): Promise<void> {
    this.#places.delete(jobId);
    const removal = rm(path.join(this.#root, jobId), { recursive: true, force: true });
    this.#removals.add(removal);
    try {
      await removal;
    } finally {
      this.#removals.delete(removal);
    }
  }

  async removeAll(): Promise<void> {
    await rm(this.#root, { recursive: true, force: true });
  }
}
