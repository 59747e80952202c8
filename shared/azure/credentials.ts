/**
 * Opens the SDK clients of a storage account.
 *
 * A setting that contains `AccountName=` is a connection string of an emulator (Azurite). Any other setting is the name of an
 * account on Azure or the host of its blob endpoint, used with `DefaultAzureCredential`: a managed identity on a VM, `az login`
 * on a workstation. No key of an Azure account is needed.
 */
import { BlobServiceClient, newPipeline as newBlobPipeline } from '@azure/storage-blob';
import { QueueServiceClient, newPipeline as newQueuePipeline } from '@azure/storage-queue';

import { PermanentError, describeError } from '../runtime/errors.ts';
import type { RetryPolicy } from './retry-policy.ts';
import { type TokenCredential, sharedTokens } from './shared-tokens.ts';
import { retryingRequests } from './storage-calls.ts';

export { BRISK, PATIENT, type RetryPolicy } from './retry-policy.ts';

/** Turns the SDK's own retries off: `retryingRequests` replaces them. */
const WITHOUT_RETRIES = { retryOptions: { maxTries: 1 } };

const ACCOUNT_NAME = /^[a-z0-9]{3,24}$/;
const BLOB_HOST = /^[a-z0-9]{3,24}\.blob\.[a-z0-9.-]+$/;

export interface StorageAccount {
  blobs(policy: RetryPolicy): Promise<BlobServiceClient>;
  queues(policy: RetryPolicy): Promise<QueueServiceClient>;
}

/** Throws CONFIG_INVALID if the setting has neither form. Makes no request. */
export function storageAccount(setting: string): StorageAccount {
  if (setting.includes('AccountName=')) return emulatorAccount(setting);
  const blobHost = ACCOUNT_NAME.test(setting) ? `${setting}.blob.core.windows.net` : setting;
  if (!BLOB_HOST.test(blobHost)) {
    throw new PermanentError(
      'CONFIG_INVALID',
      'A storage setting is neither an account name nor a connection string.',
      {
        hint: 'Set it to an account name (mystorage), a blob host, or the connection string of an emulator.',
      },
    );
  }
  const queueHost = blobHost.replace('.blob.', '.queue.');
  let opening: Promise<TokenCredential> | undefined;
  const identity = () => (opening ??= azureIdentity());
  return {
    blobs: async (policy) => blobClient(`https://${blobHost}`, await identity(), policy),
    queues: async (policy) => queueClient(`https://${queueHost}`, await identity(), policy),
  };
}

function emulatorAccount(connectionString: string): StorageAccount {
  const blobs = () => BlobServiceClient.fromConnectionString(connectionString);
  const queues = () => QueueServiceClient.fromConnectionString(connectionString);
  return {
    blobs: (policy) => openClient(() => blobClient(blobs().url, blobs().credential, policy)),
    queues: (policy) => openClient(() => queueClient(queues().url, blobs().credential, policy)),
  };
}

type Credential = BlobServiceClient['credential'];

function blobClient(url: string, credential: Credential, policy: RetryPolicy): BlobServiceClient {
  const pipeline = newBlobPipeline(credential, WITHOUT_RETRIES);
  pipeline.factories.push(retryingRequests(policy));
  return new BlobServiceClient(url, pipeline);
}

function queueClient(url: string, credential: Credential, policy: RetryPolicy): QueueServiceClient {
  const pipeline = newQueuePipeline(credential, WITHOUT_RETRIES);
  pipeline.factories.push(retryingRequests(policy));
  return new QueueServiceClient(url, pipeline);
}

function openClient<T>(open: () => T): Promise<T> {
  try {
    return Promise.resolve(open());
  } catch (cause) {
    throw new PermanentError(
      'CONFIG_INVALID',
      `A storage connection string is not valid: ${describeError(cause)}.`,
      {
        hint: 'Use the form DefaultEndpointsProtocol=http;AccountName=…;AccountKey=…;BlobEndpoint=…;QueueEndpoint=…',
        cause,
      },
    );
  }
}

/** Our identity on Azure. Loaded on demand, because @azure/identity takes longer to load than everything else here. */
export async function azureIdentity(): Promise<TokenCredential> {
  const { DefaultAzureCredential } = await import('@azure/identity');
  return sharedTokens(new DefaultAzureCredential());
}
