/**
 * Room on the local disk: a folder a job, with its source downloaded once for both steps, gone when the job has ended or
 * the producer stops. What a killed producer left is removed by the next one that starts here.
 */
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';

import type { BlobStore } from '../shared/azure/blob-store.ts';
import { sourceBlob } from '../shared/contract/blob-names.ts';
import type { JobRequest } from '../shared/contract/job.ts';
import { PermanentError } from '../shared/runtime/errors.ts';
import { isProcessAlive } from '../shared/runtime/process-alive.ts';

const FOLDER_PATTERN = /^producer-(\d+)$/;

export class JobFolders {
  readonly #root: string;
  readonly #blobs: BlobStore;
  readonly #downloads = new Map<string, Promise<string>>();

  private constructor(root: string, blobs: BlobStore) {
    this.#root = root;
    this.#blobs = blobs;
  }

  static async open({
    workFolder,
    blobs,
  }: {
    readonly workFolder: string;
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
    return new JobFolders(root, blobs);
  }

  /** A folder for one step of a job, empty. */
  async stepFolder(jobId: string, step: string): Promise<string> {
    const folder = path.join(this.#root, jobId, step);
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    return folder;
  }

  /** The path of the job's source, downloaded if it is not here. Throws SOURCE_CHANGED where it is not what was enqueued. */
  source(request: JobRequest, signal: AbortSignal): Promise<string> {
    const under = this.#downloads.get(request.jobId);
    if (under !== undefined) return under;
    const download = this.#download(request, signal);
    this.#downloads.set(request.jobId, download);
    download.catch(() => this.#downloads.delete(request.jobId));
    return download;
  }

  async #download({ jobId, source }: JobRequest, signal: AbortSignal): Promise<string> {
    const folder = path.join(this.#root, jobId);
    await mkdir(folder, { recursive: true });
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

  async remove(jobId: string): Promise<void> {
    this.#downloads.delete(jobId);
    await rm(path.join(this.#root, jobId), { recursive: true, force: true });
  }

  async removeAll(): Promise<void> {
    await rm(this.#root, { recursive: true, force: true });
  }
}
