/** Classifies the errors of storage by status and code, never by message, and makes the error for storage out of reach. */
import { TransientError } from '../runtime/errors.ts';

interface StorageFailure {
  readonly statusCode: number | undefined;
  readonly errorCode: string | undefined;
}

/** The status and code in an error of the SDK. */
export function storageFailure(error: unknown): StorageFailure {
  if (typeof error !== 'object' || error === null) return { statusCode: undefined, errorCode: undefined };
  const { statusCode, code, details } = error as {
    statusCode?: unknown;
    code?: unknown;
    details?: { errorCode?: unknown };
  };
  const errorCode = details?.errorCode ?? code;
  return {
    statusCode: typeof statusCode === 'number' ? statusCode : undefined,
    errorCode: typeof errorCode === 'string' ? errorCode : undefined,
  };
}

/** The blob, container, queue or message does not exist. */
export function isNotFound(error: unknown): boolean {
  return storageFailure(error).statusCode === 404;
}

/** A conditional put found an existing blob: 409 BlobAlreadyExists, or 412, depending on the service. */
export function isAlreadyThere(error: unknown): boolean {
  const { statusCode, errorCode } = storageFailure(error);
  return (statusCode === 409 && errorCode === 'BlobAlreadyExists') || statusCode === 412;
}

/** The etag has changed. A leased blob also returns 412, but does not count. */
export function isConditionNotMet(error: unknown): boolean {
  const { statusCode, errorCode } = storageFailure(error);
  return statusCode === 412 && errorCode === 'ConditionNotMet';
}

/** The container is being deleted: its name cannot be used again yet. */
export function isBeingDeleted(error: unknown): boolean {
  return storageFailure(error).errorCode === 'ContainerBeingDeleted';
}

/**
 * A lease call failed because the lease is lost: 404 if the message is gone, 400 if the receipt is stale. Both Azure and
 * Azurite use both.
 */
export function isLeaseLost(error: unknown): boolean {
  const { statusCode, errorCode } = storageFailure(error);
  return statusCode === 404 || (statusCode === 400 && errorCode === 'PopReceiptMismatch');
}

const SIGN_IN_ERRORS = new Set([
  'CredentialUnavailableError',
  'AggregateAuthenticationError',
  'AuthenticationRequiredError',
]);

/** An error of @azure/identity: no identity is signed in, or its token could not be fetched. */
export function isNotSignedIn(error: unknown): boolean {
  return error instanceof Error && SIGN_IN_ERRORS.has(error.name);
}

/** Runs a first call to storage. Throws STORAGE_UNAVAILABLE, with a hint, if the call fails. */
export async function reachStorage<T>(storageName: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    throw unreachableError(storageName, cause);
  }
}

/** For an error of the SDK that nothing has caught: storage has gone, or refuses. Undefined for any other error. */
export function uncaughtStorageError(error: unknown): TransientError | undefined {
  const isOfSdk = error instanceof Error && (error.name === 'RestError' || isNotSignedIn(error));
  return isOfSdk ? unreachableError('the storage', error) : undefined;
}

function unreachableError(storageName: string, cause: unknown): TransientError {
  if (isNotSignedIn(cause)) {
    const message = `Cannot reach ${storageName}: not signed in to Azure.`;
    return new TransientError('STORAGE_UNAVAILABLE', message, {
      hint: 'Run `az login`, with `--tenant TENANT` if the account is in another tenant. On an Azure VM, assign it a managed identity.',
      cause,
    });
  }
  const { statusCode } = storageFailure(cause);
  const why = statusCode === undefined ? 'it does not respond' : `it returned HTTP status ${statusCode}`;
  return new TransientError('STORAGE_UNAVAILABLE', `Cannot reach ${storageName}: ${why}.`, {
    hint:
      statusCode === 403
        ? 'Check that your identity has the roles that this program needs on the account.'
        : 'Check FRAMEFLEET_MEDIA_STORAGE and FRAMEFLEET_SYSTEM_STORAGE, that the account (or Azurite) is running, and that its network rules allow this machine.',
    cause,
  });
}
