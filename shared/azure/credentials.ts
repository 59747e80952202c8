/**
 * How to reach a storage account: decided here and nowhere else.
 *
 * A setting with `AccountName=` in it is a connection string (Azurite); anything else is the name of an account on Azure
 * or the host of its blob endpoint, reached with `DefaultAzureCredential`: managed identity on a machine, `az login` at a
 * desk. No key of a real account is ever needed.
 */
import { BlobServiceClient, newPipeline as newBlobPipeline } from '@azure/storage-blob';
import { QueueServiceClient, newPipeline as newQueuePipeline } from '@azure/storage-queue';

import { PermanentError, describeError } from '../runtime/errors.ts';
import type { RetryPolicy } from './retry-policy.ts';
import { retryingCalls } from './retrying-calls.ts';
import { type TokenCredential, sharedTokens } from './shared-tokens.ts';

export { BRISK, PATIENT, type RetryPolicy } from './retry-policy.ts';

/** Of the SDK's own: ours are in their place. */
const WITHOUT_RETRIES = { retryOptions: { maxTries: 1 } };

const ACCOUNT_NAME = /^[a-z0-9]{3,24}$/;
const BLOB_HOST = /^[a-z0-9]{3,24}\.blob\.[a-z0-9.-]+$/;

export interface StorageAccount {
  blobs(policy: RetryPolicy): Promise<BlobServiceClient>;
  queues(policy: RetryPolicy): Promise<QueueServiceClient>;
}

/** Throws CONFIG_INVALID where the setting is neither form. Nothing is contacted yet. */
export function storageAccount(setting: string): StorageAccount {
  if (setting.includes('AccountName=')) return emulatorAccount(setting);
  const blobHost = ACCOUNT_NAME.test(setting) ? `${setting}.blob.core.windows.net` : setting;
  if (!BLOB_HOST.test(blobHost)) {
    throw new PermanentError(
      'CONFIG_INVALID',
      'A storage setting is neither an account name nor a connection string.',
      {
        hint: 'Give the account name (mystorage), its blob host, or the connection string of an emulator.',
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
    blobs: (policy) => parsed(() => blobClient(blobs().url, blobs().credential, policy)),
    queues: (policy) => parsed(() => queueClient(queues().url, blobs().credential, policy)),
  };
}

type Credential = BlobServiceClient['credential'];

function blobClient(url: string, credential: Credential, policy: RetryPolicy): BlobServiceClient {
  const pipeline = newBlobPipeline(credential, WITHOUT_RETRIES);
  pipeline.factories.push(retryingCalls(policy));
  return new BlobServiceClient(url, pipeline);
}

function queueClient(url: string, credential: Credential, policy: RetryPolicy): QueueServiceClient {
  const pipeline = newQueuePipeline(credential, WITHOUT_RETRIES);
  pipeline.factories.push(retryingCalls(policy));
  return new QueueServiceClient(url, pipeline);
}

function parsed<T>(client: () => T): Promise<T> {
  try {
    return Promise.resolve(client());
  } catch (cause) {
    throw new PermanentError(
      'CONFIG_INVALID',
      `A storage connection string cannot be used: ${describeError(cause)}.`,
      {
        hint: 'It has the form DefaultEndpointsProtocol=http;AccountName=…;AccountKey=…;BlobEndpoint=…;QueueEndpoint=…',
        cause,
      },
    );
  }
}

/** Who we are on Azure. Loaded only where it is needed: it takes longer to load than everything else here. */
export async function azureIdentity(): Promise<TokenCredential> {
  const { DefaultAzureCredential } = await import('@azure/identity');
  return sharedTokens(new DefaultAzureCredential());
}
