/**
 * Redrives entries. For frames of a job, it writes a request to the producer: `control/redrive/<jobId>/<id>`. A message that is not a
 * batch goes back to `frame-batches` unchanged. Then it removes the entry. If the command is killed in between, the entry can be
 * redriven again without harm.
 */
import type { BlobStore } from '../../../shared/azure/blob-store.ts';
import { poisonBodyBlob, redriveBlob, triggerBlob } from '../../../shared/contract/blob-names.ts';
import { encodeRedriveRequest } from '../../../shared/contract/redrive-request.ts';
import { type PoisonEntry, bodyOf } from './entry.ts';
import type { LeasedEntries } from './lease-entries.ts';
import type { PoisonStorage } from './reach-storage.ts';
import { bodyText } from './show.ts';

export type RedriveOutcome =
  | { readonly id: string; readonly kept: null }
  /** Why the entry stays on the queue. */
  | { readonly id: string; readonly kept: string };

export class Redriver {
  readonly #storage: PoisonStorage;
  readonly #leased: LeasedEntries;
  readonly #now: () => Date;
  /** Whether a job still exists, by job id: checked once for each job. */
  readonly #jobs = new Map<string, Promise<boolean>>();

  constructor(storage: PoisonStorage, leased: LeasedEntries, now: () => Date) {
    this.#storage = storage;
    this.#leased = leased;
    this.#now = now;
  }

  async redrive(entry: PoisonEntry): Promise<RedriveOutcome> {
    const { id, batch } = entry;
    const kept = batch === null ? await this.#putBack(entry) : await this.#requestRetry(id, batch);
    if (kept === null) await removeEntry(this.#storage.blobs, this.#leased, entry);
    return { id, kept };
  }

  /** For a job without entries, which may have failed in the stitch. Returns whether the job exists. */
  async retryJob(jobId: string): Promise<boolean> {
    return (await this.#requestRetry('retry', { jobId, frames: [] })) === null;
  }

  /** Returns why it cannot, or null. */
  async #requestRetry(
    poisonId: string,
    { jobId, frames }: Pick<NonNullable<PoisonEntry['batch']>, 'frames' | 'jobId'>,
  ): Promise<string | null> {
    if (!(await this.#exists(jobId))) return `the job ${jobId} is no longer in storage`;
    const request = encodeRedriveRequest({
      version: 1,
      poisonId,
      frames,
      requestedAt: this.#now().toISOString(),
    });
    await this.#storage.blobs.put('control', redriveBlob(jobId, poisonId), request, {
      contentType: 'application/json',
    });
    return null;
  }

  /** Returns why it cannot, or null. */
  async #putBack(entry: PoisonEntry): Promise<string | null> {
    const { blobs, batches } = this.#storage;
    if (!entry.isRecord && entry.reason === 'too-new')
      return 'a newer release wrote it; redrive it with that release';
    const text = await bodyText(blobs, entry);
    if (text === undefined) return 'its message no longer exists';
    await batches.send(text);
    return null;
  }

  #exists(jobId: string): Promise<boolean> {
    const known = this.#jobs.get(jobId);
    if (known !== undefined) return known;
    const exists = this.#storage.blobs
      .stat('incoming', triggerBlob(jobId))
      .then((found) => found !== undefined);
    this.#jobs.set(jobId, exists);
    return exists;
  }
}

/** Removes all copies, then the body blob of a message that was too large. Returns the number of copies removed. */
export async function removeEntry(
  blobs: BlobStore,
  leased: LeasedEntries,
  entry: PoisonEntry,
): Promise<number> {
  const removed = await Promise.all(entry.copies.map((copy) => leased.remove(copy)));
  if (bodyOf(entry) === null) await blobs.remove('logs', poisonBodyBlob(entry.id));
  return removed.filter(Boolean).length;
}
