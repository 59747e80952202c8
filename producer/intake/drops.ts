/**
 * Makes jobs of bare videos: what lands in `incoming/drop/`, and in the container of a partner, with that partner's settings.
 *
 * The video moves into the folder of its job, the trigger is written last, and what lay there is removed: from then on the job is
 * like any other. Its id is made of the blob's place, time and etag: one upload is one job, however often and by how many producers
 * it is seen, and another upload under the same name is another job. What is not whole, or has nothing in it yet, is left alone.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { DROP_PREFIX, leafOf, sourceBlob, triggerBlob } from '../../shared/contract/blob-names.ts';
import { DEFAULT_SETTINGS, type JobRequest, type JobSettings, newJobId } from '../../shared/contract/job.ts';
import { partnerOf, shareContainer } from '../../shared/contract/share.ts';
import type { ShareContainer } from '../../shared/contract/storage-layout.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { sha256Of } from '../../shared/runtime/sha256.ts';
import { Agreements } from './agreements.ts';

/** Of a container in one scan: whoever sends thousands of files does not keep the others waiting. */
const TAKEN_PER_SCAN_MAX = 100;
/** Of the job's id: as many as make two uploads of a second never meet. */
const HASH_DIGITS = 12;

export interface Drop {
  readonly container: 'incoming' | ShareContainer;
  readonly name: string;
}

/** By a scan. */
interface FoundDrop extends Drop {
  readonly etag: string;
}

/**
 * taken  it is a job now, whose trigger is in place
 * later  it is being copied: look again
 * left   there is nothing to take
 */
export type Taking =
  | { readonly kind: 'taken'; readonly jobId: string }
  | { readonly kind: 'later' }
  | { readonly kind: 'left' };

export class Drops {
  readonly #blobs: BlobStore;
  readonly #agreements: Agreements;
  readonly #log: Log;
  /** Not to be looked at again: taken, and held by whoever sent them; or of a name that no address leads to (`a/../b`). */
  readonly #kept = new Set<string>();

  constructor({ blobs, log }: { readonly blobs: BlobStore; readonly log: Log }) {
    this.#blobs = blobs;
    this.#agreements = new Agreements(blobs);
    this.#log = log;
  }

  /** What lies there to be taken. */
  async *waiting(): AsyncIterable<FoundDrop> {
    yield* this.#waitingIn('incoming', DROP_PREFIX);
    for (const partner of await this.#agreements.partners())
      yield* this.#waitingIn(shareContainer(partner), '');
  }

  /** A place that cannot be read does not hide the others. */
  async *#waitingIn(container: Drop['container'], prefix: string): AsyncIterable<FoundDrop> {
    let count = 0;
    try {
      for await (const { name, sizeBytes, isComplete, etag } of this.#blobs.list(container, { prefix })) {
        if (!isComplete || sizeBytes === 0 || this.#kept.has(keyOf({ container, name }, etag))) continue;
        yield { container, name, etag };
        count += 1;
        if (count === TAKEN_PER_SCAN_MAX) return;
      }
    } catch (error) {
      this.#log.warn({ container, error }, 'dropped videos could not be looked for');
    }
  }

  async take(drop: Drop | FoundDrop): Promise<Taking> {
    const { container, name } = drop;
    const found = await this.#blobs.stat(container, name);
    if (found === undefined && 'etag' in drop) this.#kept.add(keyOf(drop, drop.etag));
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
    // Taken by another meanwhile, or replaced: that is an upload, and a job, of its own.
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

  /** Undefined where nothing is agreed: what lies there is nobody's. */
  async #settingsOf(partner: string): Promise<JobSettings | undefined> {
    const agreement = await this.#agreements.read(partner);
    if (agreement !== 'unreadable') return agreement?.settings;
    this.#log.warn({ partner }, 'share left alone: its agreement cannot be read');
    return undefined;
  }

  /** Whoever may write may also hold a lease, and keep it from being removed: the job begins all the same. */
  async #remove(drop: Drop, etag: string): Promise<void> {
    const { container, name } = drop;
    try {
      await this.#blobs.remove(container, name, { onlyIfEtag: etag });
    } catch (error) {
      this.#kept.add(keyOf(drop, etag));
      this.#log.warn(
        { container, name, error },
        'dropped video could not be removed: its job begins all the same',
      );
    }
  }
}

/** One upload. */
function keyOf({ container, name }: Drop, etag: string): string {
  return [container, name, etag].join('\n');
}

/** Undefined for a blob that starts nothing by itself. */
export function dropOf(container: string, name: string): Drop | undefined {
  if (container === 'incoming') return name.startsWith(DROP_PREFIX) ? { container, name } : undefined;
  const partner = partnerOf(container);
  return partner === undefined ? undefined : { container: shareContainer(partner), name };
}
