/**
 * Has failures tried again. Of a job: a request to the producer, `control/redrive/<jobId>/<id>`. Of a message that is no batch: the
 * message, put back on `frame-batches` as it was. Only then its entries go: whoever is killed in between does it again, and that
 * does no harm.
 */
import type { BlobStore } from '../../../shared/azure/blob-store.ts';
import { poisonBodyBlob, redriveBlob, triggerBlob } from '../../../shared/contract/blob-names.ts';
import { encodeRedriveRequest } from '../../../shared/contract/redrive-request.ts';
import type { Browsing } from './browse.ts';
import { type PoisonEntry, bodyOf } from './entry.ts';
import type { PoisonStorage } from './reach-storage.ts';
import { bodyText } from './show.ts';

export type Redriven =
  | { readonly id: string; readonly kept: null }
  /** It stays on the queue, and why. */
  | { readonly id: string; readonly kept: string };

export class Redriver {
  readonly #storage: PoisonStorage;
  readonly #browsing: Browsing;
  readonly #now: () => Date;
  readonly #jobs = new Map<string, Promise<boolean>>();

  constructor(storage: PoisonStorage, browsing: Browsing, now: () => Date) {
    this.#storage = storage;
    this.#browsing = browsing;
    this.#now = now;
  }

  async redrive(entry: PoisonEntry): Promise<Redriven> {
    const { id, batch } = entry;
    const kept = batch === null ? await this.#putBack(entry) : await this.#ask(id, batch);
    if (kept === null) await removeEntry(this.#storage.blobs, this.#browsing, entry);
    return { id, kept };
  }

  async #ask(poisonId: string, { jobId, frames }: NonNullable<PoisonEntry['batch']>): Promise<string | null> {
    if (!(await this.#isThere(jobId))) return `the job ${jobId} is no longer in storage`;
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

  async #putBack(entry: PoisonEntry): Promise<string | null> {
    const { blobs, batches } = this.#storage;
    if (!entry.isRecord && entry.reason === 'too-new') return 'a newer release wrote it, and can read it';
    const text = await bodyText(blobs, entry);
    if (text === undefined) return 'its message is gone';
    await batches.send(text);
    return null;
  }

  /** Asked once a job. */
  #isThere(jobId: string): Promise<boolean> {
    const known = this.#jobs.get(jobId);
    if (known !== undefined) return known;
    const asked = this.#storage.blobs
      .stat('incoming', triggerBlob(jobId))
      .then((found) => found !== undefined);
    this.#jobs.set(jobId, asked);
    return asked;
  }
}

/** All copies, and then the body that one of them may have had elsewhere. Returns how many copies went. */
export async function removeEntry(blobs: BlobStore, browsing: Browsing, entry: PoisonEntry): Promise<number> {
  const removed = await Promise.all(entry.copies.map((copy) => browsing.remove(copy)));
  if (bodyOf(entry) === null) await blobs.remove('logs', poisonBodyBlob(entry.id));
  return removed.filter(Boolean).length;
}
