/**
 * Turns bare videos into jobs: uploads to `incoming/drop/`, and to the container of a partner, with that partner's settings.
 *
 * The video is copied into the folder of its job, then the trigger is written, then the upload is removed. After that the job is
 * like any other. The job id is derived from the blob's container, name, time and etag, so one upload is one job however many
 * producers see it, and a new upload under the same name is a new job. Incomplete and empty uploads are ignored.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { DROP_PREFIX, leafOf, sourceBlob, triggerBlob } from '../../shared/contract/blob-names.ts';
import { DEFAULT_SETTINGS, type JobRequest, type JobSettings, newJobId } from '../../shared/contract/job.ts';
import { partnerOf, shareContainer } from '../../shared/contract/share.ts';
import type { ShareContainer } from '../../shared/contract/storage-layout.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { sha256Of } from '../../shared/runtime/sha256.ts';
import { Agreements } from './agreements.ts';

/** Per container and scan, so that one sender with thousands of files does not block the others. */
const TAKEN_PER_SCAN_MAX = 100;
/** Of the job id: enough that two uploads in the same second do not collide. */
const HASH_DIGITS = 12;

export interface Drop {
  readonly container: 'incoming' | ShareContainer;
  readonly name: string;
}

/** A drop that a scan found. */
interface FoundDrop extends Drop {
  readonly etag: string;
}

/**
 * taken  the upload is a job now, and its trigger exists
 * later  the copy is in progress: check again
 * left   there is nothing to take
 */
export type TakeResult =
  | { readonly kind: 'taken'; readonly jobId: string }
  | { readonly kind: 'later' }
  | { readonly kind: 'left' };

export class Drops {
  readonly #blobs: BlobStore;
  readonly #agreements: Agreements;
  readonly #log: Log;
  /** Drops to ignore: taken but locked by a lease of the sender, or not addressable by name (`a/../b`). */
  readonly #ignored = new Set<string>();

  constructor(blobs: BlobStore, log: Log) {
    this.#blobs = blobs;
    this.#agreements = new Agreements(blobs);
    this.#log = log;
  }

  /** Lists complete uploads in all drop locations. */
  async *waiting(): AsyncIterable<FoundDrop> {
    yield* this.#waitingIn('incoming', DROP_PREFIX);
    for (const partner of await this.#agreements.partners())
      yield* this.#waitingIn(shareContainer(partner), '');
  }

  /** Logs an error rather than throwing, so that one unreadable location does not hide the others. */
  async *#waitingIn(container: Drop['container'], prefix: string): AsyncIterable<FoundDrop> {
    let count = 0;
    try {
      for await (const { name, sizeBytes, isComplete, etag } of this.#blobs.list(container, { prefix })) {
        if (!isComplete || sizeBytes === 0 || this.#ignored.has(keyOf({ container, name }, etag))) continue;
        yield { container, name, etag };
        count += 1;
        if (count === TAKEN_PER_SCAN_MAX) return;
      }
    } catch (error) {
      this.#log.warn({ container, error }, 'dropped videos could not be listed');
    }
  }

  /** Safe to repeat after a failure or on several producers at once. */
  async take(drop: Drop | FoundDrop): Promise<TakeResult> {
    const { container, name } = drop;
    const found = await this.#blobs.stat(container, name);
    if (found === undefined && 'etag' in drop) this.#ignored.add(keyOf(drop, drop.etag));
    if (found === undefined || !found.isComplete || found.sizeBytes === 0) return { kind: 'left' };
    const partner = partnerOf(container);
    const settings = partner === undefined ? DEFAULT_SETTINGS : await this.#settingsOf(partner);
    if (settings === undefined) return { kind: 'left' };

    const { etag, sizeBytes, lastModifiedAt } = found;
    const sourceName = leafOf(name);
    const jobId = newJobId(
      partner === undefined ? sourceName : `${partner}-${sourceName}`,
      lastModifiedAt,
      sha256Of(keyOf(drop, etag)).slice(0, HASH_DIGITS),
    );
    const target = { container: 'incoming', name: sourceBlob(jobId, sourceName) } as const;
    const copy = await this.#blobs.copy({ container, name, etag }, target);
    if (copy.kind === 'pending') return { kind: 'later' };
    // Another producer has taken it, or it was replaced by a new upload, which is a job of its own.
    if (copy.kind === 'changed') return { kind: 'left' };

    const request: JobRequest = {
      version: 1,
      jobId,
      source: { name: sourceName, sizeBytes, etag: copy.etag },
      ...settings,
      createdAt: lastModifiedAt.toISOString(),
    };
    const putting = await this.#blobs.put(
      'incoming',
      triggerBlob(jobId),
      JSON.stringify(request, undefined, 2),
      {
        contentType: 'application/json',
        onlyIfAbsent: true,
      },
    );
    if (putting === 'created') this.#log.info({ jobId, container, name, sizeBytes }, 'dropped video taken');
    await this.#remove(drop, etag);
    return { kind: 'taken', jobId };
  }

  /** Undefined if there is no usable agreement. The upload then stays where it is. */
  async #settingsOf(partner: string): Promise<JobSettings | undefined> {
    const agreement = await this.#agreements.read(partner);
    if (agreement !== 'unreadable') return agreement?.settings;
    this.#log.warn({ partner }, 'share skipped: agreement cannot be read');
    return undefined;
  }

  /** A sender with write access can hold a lease and so prevent removal. The job starts anyway. */
  async #remove(drop: Drop, etag: string): Promise<void> {
    const { container, name } = drop;
    try {
      await this.#blobs.remove(container, name, { onlyIfEtag: etag });
    } catch (error) {
      this.#ignored.add(keyOf(drop, etag));
      this.#log.warn({ container, name, error }, 'dropped video could not be removed: its job starts anyway');
    }
  }
}

/** Identifies one upload. */
function keyOf({ container, name }: Drop, etag: string): string {
  return [container, name, etag].join('\n');
}

/** Undefined if the blob is not in a drop location. */
export function dropOf(container: string, name: string): Drop | undefined {
  if (container === 'incoming') return name.startsWith(DROP_PREFIX) ? { container, name } : undefined;
  const partner = partnerOf(container);
  return partner === undefined ? undefined : { container: shareContainer(partner), name };
}
