/** Checks the model and its options before the upload, so that a wrong name does not cost one. The producer checks them again. */
import { openBlobStore } from '../../../shared/azure/blob-store.ts';
import { BRISK, storageAccount } from '../../../shared/azure/credentials.ts';
import type { JobSettings } from '../../../shared/contract/job.ts';
import { FleetError } from '../../../shared/runtime/errors.ts';
import { type ResolvedModel, resolveModel } from '../../jobs/model-catalogue.ts';
import type { ReachedFleet } from './reach-fleet.ts';

/**
 * Returns what the model returns; undefined if this user cannot read the models, for which the media account alone is not enough. Throws
 * MODEL_UNKNOWN, MODEL_INVALID, STYLE_UNKNOWN or JOB_INVALID.
 */
export async function checkModel(
  { mediaStorage, systemStorage }: Pick<ReachedFleet, 'mediaStorage' | 'systemStorage'>,
  settings: JobSettings,
): Promise<ResolvedModel['result'] | undefined> {
  if (systemStorage === undefined) return undefined;
  const accounts = { media: storageAccount(mediaStorage), system: storageAccount(systemStorage) };
  try {
    const { result } = await resolveModel(await openBlobStore(accounts, BRISK), settings);
    return result;
  } catch (error) {
    if (error instanceof FleetError) throw error;
    return undefined;
  }
}
