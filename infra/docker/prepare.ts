/**
 * Prepares a storage emulator for a fleet: creates every container and queue, and publishes the models of the project. Exits with
 * status 0 on success and can be repeated. On Azure, Terraform and the operators do this.
 */
import { openBlobStore } from '../../shared/azure/blob-store.ts';
import { createLayout } from '../../shared/azure/create-layout.ts';
import { PATIENT, storageAccount } from '../../shared/azure/credentials.ts';
import { publishModels } from '../../shared/azure/publish-models.ts';
import { complain } from '../../shared/runtime/complain.ts';
import { exitStatusOf } from '../../shared/runtime/errors.ts';
import { createLog } from '../../shared/runtime/log.ts';
import { prepareConfig } from './config.ts';

try {
  const config = prepareConfig();
  const log = createLog({ room: 'prepare', level: config.logLevel });
  const accounts = {
    media: storageAccount(config.mediaStorage),
    system: storageAccount(config.systemStorage),
  };
  await createLayout(accounts);
  await publishModels(await openBlobStore(accounts, PATIENT), config.modelFolder);
  log.info('storage is ready');
} catch (error) {
  complain(error);
  process.exitCode = exitStatusOf(error);
}
