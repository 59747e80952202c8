/**
 * Allocates local disk space: one folder per job, with the source downloaded once for both steps. The folder is removed when the
 * job ends or the producer stops; a producer that starts removes the folders that a killed one left.
 *
 * Each job reserves space for its source, and each step for what it writes. If a step does not fit, the folders of jobs without a
 * running step are removed first (their sources are downloaded again later). Otherwise the step waits, and smaller jobs may overtake
 * it.
 */
import { mkdir, mkdtemp, readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import path from 'node:path';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { sourceBlob } from '../../shared/contract/blob-names.ts';
import type { JobRequest } from '../../shared/contract/job.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import { isProcessAlive } from '../../shared/runtime/process-alive.ts';
import { type JobStep, StepDeferredError } from './steps.ts';

const FOLDER_PATTERN = /^producer-(\d+)$/;
/** The largest source: with its pieces it leaves a fifth of the disk for small jobs. */
const SOURCE_FRACTION_MAX = 0.4;
/** Jobs take minutes, and a retry costs one call to Redis. */
const RETRY_MS = 5_000;

/** A job, or an upload that may become one. */
type SourceOfJob = Pick<JobRequest, 'jobId' | 'source'>;

/** The disk space of a step while it runs. */
export interface StepFolder extends AsyncDisposable {
  /** Empty when the step starts; removed when it ends. */
  readonly path: string;
  /** Returns the path of the job's source, and downloads it if needed. Throws SOURCE_CHANGED if it is not the enqueued file. */
  source(signal: AbortSignal): Promise<string>;
}

interface Reservation {
  bytes: number;
  stepsRunning: number;
  download: Promise<string> | undefined;
}

export interface JobFoldersOptions {
  readonly workFolder: string;
  /** Undefined: the space that is free now. */
  readonly workBytesMax: number | undefined;
  readonly blobs: BlobStore;
}

export class JobFolders {
  readonly #root: string;
  readonly #blobs: BlobStore;
  readonly #bytesMax: number;
  /** By job id, oldest first. */
  readonly #reservations = new Map<string, Reservation>();
  /** In progress. Their space is free when they have finished. */
  readonly #removals = new Set<Promise<void>>();

  private constructor(options: {
    readonly root: string;
    readonly blobs: BlobStore;
    readonly bytesMax: number;
  }) {
    this.#root = options.root;
    this.#blobs = options.blobs;
    this.#bytesMax = options.bytesMax;
  }

  static async open({ workFolder, workBytesMax, blobs }: JobFoldersOptions): Promise<JobFolders> {
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
    return new JobFolders({ root, blobs, bytesMax: workBytesMax ?? bavail * bsize });
  }

  /** The largest source that this producer can process. */
  get sourceBytesMax(): number {
    return Math.floor(this.#bytesMax * SOURCE_FRACTION_MAX);
  }

  /**
   * `bytesWritten`: by the step, besides the source. A step that needs more than the work folder may use gets all of it. Throws
   * StepDeferredError if there is no room.
   */
  async enter(request: SourceOfJob, step: JobStep | 'page', bytesWritten: number): Promise<StepFolder> {
    const { jobId, source } = request;
    const bytes = Math.min(bytesWritten, Math.max(0, this.#bytesMax - source.sizeBytes));
    // No await between the check and the reservation, so that two steps cannot reserve the same space.
    const reservation = this.#reserve(request, bytes);
    const leave = (): void => {
      reservation.stepsRunning -= 1;
      reservation.bytes -= bytes;
    };
    try {
      await Promise.all(this.#removals);
      const jobFolder = path.join(this.#root, jobId);
      await mkdir(jobFolder, { recursive: true });
      const stepPath = await mkdtemp(path.join(jobFolder, `${step}-`));
      return {
        path: stepPath,
        source: (signal) => this.#source(request, reservation, signal),
        [Symbol.asyncDispose]: async () => {
          await rm(stepPath, { recursive: true, force: true });
          leave();
        },
      };
    } catch (error) {
      leave();
      throw error;
    }
  }

  #reserve({ jobId, source }: SourceOfJob, bytes: number): Reservation {
    const reserved = this.#reservations.get(jobId);
    const missing = bytes + (reserved === undefined ? source.sizeBytes : 0);
    for (const other of this.#idleJobsToEvict(jobId, missing)) this.remove(other).catch(() => undefined); // Awaited in `enter`.
    const reservation = reserved ?? { bytes: source.sizeBytes, stepsRunning: 0, download: undefined };
    reservation.bytes += bytes;
    reservation.stepsRunning += 1;
    this.#reservations.set(jobId, reservation);
    return reservation;
  }

  /** The other jobs whose folders must be removed to make room for `bytes`. */
  #idleJobsToEvict(jobId: string, bytes: number): string[] {
    const used = [...this.#reservations.values()].reduce((sum, reservation) => sum + reservation.bytes, 0);
    let missing = used + bytes - this.#bytesMax;
    const evicted: string[] = [];
    for (const [other, reservation] of this.#reservations) {
      if (missing <= 0) break;
      if (other === jobId || reservation.stepsRunning > 0) continue;
      evicted.push(other);
      missing -= reservation.bytes;
    }
    if (missing <= 0) return evicted;
    throw new StepDeferredError(
      `not enough disk space: ${bytes} bytes needed, ${used} of ${this.#bytesMax} in use`,
      RETRY_MS,
    );
  }

  #source(request: SourceOfJob, reservation: Reservation, signal: AbortSignal): Promise<string> {
    if (reservation.download !== undefined) return reservation.download;
    const download = this.#download(request, signal);
    reservation.download = download;
    download.catch(() => (reservation.download = undefined));
    return download;
  }

  async #download({ jobId, source }: SourceOfJob, signal: AbortSignal): Promise<string> {
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
        `The video ${JSON.stringify(source.name)} changed after it was enqueued.`,
        {
          hint: 'Enqueue it again, and do not change the uploaded file until the job has ended.',
        },
      );
    }
    const complete = path.join(folder, 'source');
    await rename(partial, complete);
    return complete;
  }

  /** Removes the job's folder and frees its space. */
  async remove(jobId: string): Promise<void> {
    this.#reservations.delete(jobId);
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
