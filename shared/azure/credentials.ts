/**
 * How to reach a storage account: decided here and nowhere else.
 *
 * A setting with `AccountName=` in it is a connection string (Azurite); anything else is the name of an account on Azure
 * or the host of its blob endpoint, reached with `DefaultAzureCredential`: managed identity on a machine, `az login` at a
 * desk. No key of a real account is ever needed.
 */
import { BlobServiceClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';

import { PermanentError, describeError } from '../runtime/errors.ts';

export interface RetryPolicy {
  readonly tries: number;
  /** Of one try, as the service is asked to keep it. */
  readonly tryTimeoutMs: number;
  readonly delayMs: number;
  readonly delayMaxMs: number;
  /** Of the whole call, kept by us: a server that accepts and never answers keeps no time-out. */
  readonly callTimeoutMs: number;
}

/** For work that nobody waits for: the service may have a bad half minute. */
export const PATIENT: RetryPolicy = {
  tries: 6,
  tryTimeoutMs: 60_000,
  delayMs: 400,
  delayMaxMs: 10_000,
  callTimeoutMs: 180_000,
};
/** For a call whose answer is worthless when it is late: a lease, a person waiting, a look at the door. */
export const BRISK: RetryPolicy = {
  tries: 2,
  tryTimeoutMs: 5_000,
  delayMs: 250,
  delayMaxMs: 500,
  callTimeoutMs: 8_000,
};

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
  return {
    blobs: async (policy) =>
      new BlobServiceClient(`https://${blobHost}`, await credential(), pipeline(policy)),
    queues: async (policy) =>
      new QueueServiceClient(`https://${queueHost}`, await credential(), pipeline(policy)),
  };
}

function emulatorAccount(connectionString: string): StorageAccount {
  return {
    blobs: (policy) =>
      parsed(() => BlobServiceClient.fromConnectionString(connectionString, pipeline(policy))),
    queues: (policy) =>
      parsed(() => QueueServiceClient.fromConnectionString(connectionString, pipeline(policy))),
  };
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

/** Loaded only where it is needed: it takes longer to load than everything else here. */
async function credential() {
  const { DefaultAzureCredential } = await import('@azure/identity');
  return new DefaultAzureCredential();
}

function pipeline({ tries, tryTimeoutMs, delayMs, delayMaxMs }: RetryPolicy) {
  return {
    retryOptions: {
      maxTries: tries,
      tryTimeoutInMs: tryTimeoutMs,
      retryDelayInMs: delayMs,
      maxRetryDelayInMs: delayMaxMs,
    },
  };
}
