/**
 * The contact sheet of a job: frames before and after the model, evenly spread over what is scored so far. `results/<jobId>/previews/`.
 *
 * The first one appears with the first segment, later ones as the job goes on, the last one with the result. Best effort: a sheet that
 * cannot be made fails no job.
 */
import pLimit from 'p-limit';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import {
  type SplitOfJob,
  contactSheetBlob,
  frameOfPreview,
  splitPrefix,
} from '../../shared/contract/blob-names.ts';
import type { LedgerJob } from '../../shared/redis/ledger-job.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { contactSheet } from '../media/contact-sheet.ts';
import { sheetMetadata } from '../media/sheet-metadata.ts';
import { forEachJob } from './for-each-job.ts';

const PASS_MS = 2_000;
const PREVIEWS_MAX = 12;
const FETCHES_AT_ONCE = 6;
/** Shares of the frames after which a new sheet is made. */
const SHARES = [0, 0.03, 0.1, 0.3, 0.6];

export interface PreviewServices {
  readonly blobs: BlobStore;
  readonly ledger: Ledger;
  readonly log: Log;
}

export class Previews {
  readonly #services: PreviewServices;
  /** How many of the shares have been passed, by job and epoch. */
  readonly #passed = new Map<string, number>();

  constructor(services: PreviewServices) {
    this.#services = services;
  }

  /** Makes the sheets that are due. Returns how long to rest, in milliseconds. */
  async pass(): Promise<number> {
    const { ledger, log } = this.#services;
    const jobs = (await ledger.openJobs()).filter(({ state }) => state === 'running');
    const keys = new Set(jobs.map(keyOf));
    for (const key of this.#passed.keys()) if (!keys.has(key)) this.#passed.delete(key);
    await forEachJob(jobs, (job) => this.#update(job), { log, doing: 'making the contact sheet' });
    return PASS_MS;
  }

  async #update(job: LedgerJob): Promise<void> {
    const share = (job.framesScored + job.framesFailed) / Math.max(1, job.framesExpected);
    const passed = share === 0 ? 0 : SHARES.filter((least) => share >= least).length;
    if (passed <= (this.#passed.get(keyOf(job)) ?? 0)) return;
    this.#passed.set(keyOf(job), passed);
    await putContactSheet(this.#services, job);
  }
}

/** Makes the sheet of what is scored so far. Logs an error instead of throwing it. */
export async function putContactSheet(
  { blobs, log }: Omit<PreviewServices, 'ledger'>,
  split: SplitOfJob,
): Promise<void> {
  const { jobId } = split;
  try {
    const names: string[] = [];
    for await (const { name } of blobs.list('scored', { prefix: splitPrefix(split) }))
      if (frameOfPreview(name) !== undefined) names.push(name);
    const previews = await pLimit(FETCHES_AT_ONCE).map(spread(names), async (name) => {
      const picture = await blobs.get('scored', name);
      return picture && { picture, frame: frameOfPreview(name) ?? 0 };
    });
    const found = previews.filter((preview) => preview !== undefined);
    if (found.length === 0) return;
    const sheet = await contactSheet(found.map(({ picture }) => picture));
    const frames = found.map(({ frame }) => frame);
    await blobs.put('results', contactSheetBlob(jobId), sheet.jpeg, {
      contentType: 'image/jpeg',
      metadata: sheetMetadata({ frames, ...sheet.cell }),
    });
  } catch (error) {
    log.warn({ jobId, error }, 'contact sheet not made');
  }
}

/** At most PREVIEWS_MAX, from the first to the last. */
function spread(names: readonly string[]): string[] {
  const count = Math.min(names.length, PREVIEWS_MAX);
  return Array.from({ length: count }, (_, number) => {
    const index = Math.round((number * (names.length - 1)) / Math.max(1, count - 1));
    return names[index] ?? '';
  });
}

function keyOf({ jobId, definition, splitNumber }: LedgerJob): string {
  return `${jobId} ${definition.epoch} ${splitNumber}`;
}
