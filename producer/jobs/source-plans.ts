/** The plans of splits in storage: `pieces/<jobId>/<split>/plan.json`. */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { type SplitOfJob, planBlob, splitPrefix } from '../../shared/contract/blob-names.ts';
import { SPLITS_MAX } from '../../shared/contract/limits.ts';
import { type SourcePlan, decodeSourcePlan, encodeSourcePlan } from '../../shared/contract/source-plan.ts';
import { PermanentError, TransientError, describeError } from '../../shared/runtime/errors.ts';

/** Jobs whose plan is kept in memory. The plan of a long source has up to 100 KB. */
const PLANS_KEPT = 64;

/** Returns `exists` only if `onlyIfAbsent` is set and there is a plan already. Throws JOB_INVALID if no batch could be made of the plan. */
export async function putSourcePlan(
  blobs: BlobStore,
  split: SplitOfJob,
  plan: SourcePlan,
  { onlyIfAbsent = false }: { readonly onlyIfAbsent?: boolean } = {},
): Promise<'created' | 'exists'> {
  const options = { contentType: 'application/json', onlyIfAbsent };
  return blobs.put('pieces', planBlob(split), encoded(plan), options);
}

function encoded(plan: SourcePlan): string {
  try {
    return encodeSourcePlan(plan);
  } catch (cause) {
    // A plan that no one can read would keep the job waiting.
    throw new PermanentError(
      'JOB_INVALID',
      `No batches can be made of the source: ${describeError(cause)}.`,
      { hint: 'Convert it first: ffmpeg -i FILE -c:v libx264 -crf 12 NEW.mkv', cause },
    );
  }
}

/** Undefined if there is no plan or it cannot be read. */
export async function readSourcePlan(blobs: BlobStore, split: SplitOfJob): Promise<SourcePlan | undefined> {
  const bytes = await blobs.get('pieces', planBlob(split));
  return bytes && decodeSourcePlan(bytes.toString('utf8'));
}

/** The split of a job that storage has begun last; 1 if there is none. */
export async function splitInStorage(blobs: BlobStore, jobId: string): Promise<number> {
  for (let splitNumber = SPLITS_MAX; splitNumber > 1; splitNumber -= 1)
    if ((await blobs.stat('pieces', planBlob({ jobId, splitNumber }))) !== undefined) return splitNumber;
  return 1;
}

/** Reads each plan once: the plan of a split does not change while its job is open. */
export class SourcePlans {
  readonly #blobs: BlobStore;
  /** Most recently used last. */
  readonly #plans = new Map<string, SourcePlan>();

  constructor(blobs: BlobStore) {
    this.#blobs = blobs;
  }

  /** Throws STORAGE_UNAVAILABLE if the plan is not there. */
  async of(split: SplitOfJob, epoch: number): Promise<SourcePlan> {
    const key = `${splitPrefix(split)}${epoch}`;
    const plan = this.#plans.get(key) ?? (await readSourcePlan(this.#blobs, split));
    if (plan === undefined)
      throw new TransientError('STORAGE_UNAVAILABLE', `The plan ${planBlob(split)} is not in storage.`);
    this.#plans.delete(key);
    this.#plans.set(key, plan);
    const [oldest] = this.#plans.keys();
    if (this.#plans.size > PLANS_KEPT && oldest !== undefined) this.#plans.delete(oldest);
    return plan;
  }
}
