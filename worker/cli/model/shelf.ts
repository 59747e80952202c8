/**
 * Where `npm run model` keeps models: in the storage of the configured fleet; else in that of the local fleet of this folder; else in a
 * storage for this command alone. A local fleet's models are kept in its folder, too, for the fleets that start later.
 */
import { type BlobStore, openBlobStore } from '../../../shared/azure/blob-store.ts';
import { PATIENT, storageAccount } from '../../../shared/azure/credentials.ts';
import { publishModel } from '../../../shared/azure/publish-models.ts';
import type { StorageCommandConfig } from '../../../shared/command/config.ts';
import { findReadyStack } from '../../../shared/command/local-stack.ts';
import { startOwnFleet } from '../../../shared/command/own-fleet.ts';
import { keepOwnModel, removeOwnModel } from '../../../shared/command/own-models.ts';
import { openReachable, storageAccounts } from '../../../shared/command/storage-accounts.ts';
import type { ModelManifest } from '../../../shared/contract/model-manifest.ts';
import { PermanentError } from '../../../shared/runtime/errors.ts';
import { type WantedModel, fetchPublished, removePublished } from './published.ts';

export interface ModelShelf extends AsyncDisposable {
  readonly blobs: BlobStore;
  /** Publishes the model in `folder`. Throws MODEL_INVALID. */
  publish(folder: string, manifest: ModelManifest): Promise<void>;
  /** Throws MODEL_UNKNOWN, or USAGE for a model that comes with framefleet. */
  remove(wanted: WantedModel): Promise<ModelManifest>;
}

/** Throws CONFIG_INVALID, STORAGE_UNAVAILABLE, STACK_FAILED or the signal's reason. */
export async function openModelShelf(config: StorageCommandConfig, signal: AbortSignal): Promise<ModelShelf> {
  const { storage, localFolder, environment } = config;
  if (storage !== undefined) return fleetShelf(await openReachable(await storageAccounts(config)));
  if ((await findReadyStack(localFolder, signal)) !== undefined)
    return localShelf(await openReachable(await storageAccounts(config)), localFolder);
  const own = await startOwnFleet({ args: ['--models'], environment, signal });
  const { mediaStorage, systemStorage = '' } = own;
  const accounts = { media: storageAccount(mediaStorage), system: storageAccount(systemStorage) };
  const shelf = localShelf(await openBlobStore(accounts, PATIENT), localFolder);
  return {
    ...shelf,
    async remove(wanted) {
      const { manifest } = await fetchPublished(shelf.blobs, wanted);
      if (await removeOwnModel(localFolder, manifest)) return manifest;
      throw new PermanentError(
        'USAGE',
        `Cannot remove ${manifest.name} ${manifest.version}: it comes with framefleet.`,
        { hint: 'To see all models: npm run model -- list' },
      );
    },
    [Symbol.asyncDispose]: () => own[Symbol.asyncDispose](),
  };
}

function fleetShelf(blobs: BlobStore): ModelShelf {
  return {
    blobs,
    publish: (folder) => publishModel(blobs, folder),
    remove: (wanted) => removePublished(blobs, wanted),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function localShelf(blobs: BlobStore, localFolder: string): ModelShelf {
  const shelf = fleetShelf(blobs);
  return {
    ...shelf,
    async publish(folder, manifest) {
      await shelf.publish(folder, manifest);
      await keepOwnModel(localFolder, folder, manifest);
    },
    async remove(wanted) {
      const manifest = await shelf.remove(wanted);
      await removeOwnModel(localFolder, manifest);
      return manifest;
    },
  };
}
