/**
 * Makes an emulator ready for a fleet: every container and queue, and the models that come with the project. It ends when that
 * is done, with exit status 0. Harmless when repeated. On Azure this is Terraform's and the operators' business.
 */
import { openBlobStore } from '../../shared/azure/blob-store.ts';
import { createLayout } from '../../shared/azure/create-layout.ts';
import { PATIENT, storageAccount } from '../../shared/azure/credentials.ts';
import { complain } from '../../shared/runtime/complain.ts';
import { exitStatusOf } from '../../shared/runtime/errors.ts';
import { createLog } from '../../shared/runtime/log.ts';
import { publishModels } from '../local/publish-models.ts';
import { prepareConfig } from './config.ts';

try {
  const config = prepareConfig();
  const log = createLog({ room: 'prepare', level: config.logLevel });
  const accounts = {
    media: storageAccount(config.mediaStorage),
    system: storageAccount(config.systemStorage),
  };
  await createLayout(accounts);
  await publishModels({ blobs: await openBlobStore(accounts, PATIENT), folder: config.modelFolder });
  log.info('storage is ready');
} catch (error) {
  complain(error);
  process.exitCode = exitStatusOf(error);
}
