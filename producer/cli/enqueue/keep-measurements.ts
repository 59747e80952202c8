/** After a job on this machine: keeps what its fleet has measured, for estimates while none runs. */
import { openBlobStore } from '../../../shared/azure/blob-store.ts';
import { BRISK, storageAccount } from '../../../shared/azure/credentials.ts';
import { keepRates } from '../../estimate/fleet-rates.ts';
import type { EnqueueConfig } from './config.ts';
import type { ReachedFleet } from './reach-fleet.ts';

/** Best effort: an estimate then rests on older measurements. */
export async function keepMeasurements(
  { mediaStorage: configured, localFolder }: EnqueueConfig,
  { mediaStorage, systemStorage }: ReachedFleet,
): Promise<void> {
  if (configured !== undefined || systemStorage === undefined) return;
  try {
    const accounts = { media: storageAccount(mediaStorage), system: storageAccount(systemStorage) };
    await keepRates(await openBlobStore(accounts, BRISK), localFolder);
  } catch {
    // The result of the job is what counts.
  }
}
