/** Copies an image within the media account. The service copies it by itself, mostly at once. */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import { TransientError } from '../../shared/runtime/errors.ts';

const POLL_MS = 500;
const POLLS_MAX = 240;

/** Resolves when the copy is complete, or if the target exists. Throws STORAGE_UNAVAILABLE. Returns false if the source has changed. */
export async function copyImage(
  { blobs, clock }: { readonly blobs: BlobStore; readonly clock: Clock },
  from: Parameters<BlobStore['copy']>[0],
  to: Parameters<BlobStore['copy']>[1],
  signal: AbortSignal,
): Promise<boolean> {
  for (let polls = 0; polls < POLLS_MAX; polls += 1) {
    const outcome = await blobs.copy(from, to);
    if (outcome.kind !== 'pending') return outcome.kind === 'copied';
    await clock.sleep(POLL_MS, signal);
  }
  throw new TransientError('STORAGE_UNAVAILABLE', `The copy of ${from.name} takes too long.`);
}
