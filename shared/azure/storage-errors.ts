/** What storage answered, told apart by status and code, never by text. */
import { TransientError } from '../runtime/errors.ts';

interface StorageFailure {
  readonly statusCode: number | undefined;
  readonly errorCode: string | undefined;
}

/** What of an error is storage's answer. */
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

/** A blob, container, queue or message that is not there. */
export function isNotFound(error: unknown): boolean {
  return storageFailure(error).statusCode === 404;
}

/** A conditional put that found something there: 409 BlobAlreadyExists, or 412 where the service prefers that. */
export function isAlreadyThere(error: unknown): boolean {
  const { statusCode, errorCode } = storageFailure(error);
  return (statusCode === 409 && errorCode === 'BlobAlreadyExists') || statusCode === 412;
}

/** An etag that is another by now. Not: a blob that somebody holds a lease of, which is 412, too. */
export function isConditionNotMet(error: unknown): boolean {
  const { statusCode, errorCode } = storageFailure(error);
  return statusCode === 412 && errorCode === 'ConditionNotMet';
}

/** A container whose name cannot be used again yet. */
export function isBeingDeleted(error: unknown): boolean {
  return storageFailure(error).errorCode === 'ContainerBeingDeleted';
}

/**
 * Whether a lease call was answered "this is no longer yours": 404 where the message is gone, 400 where the receipt is
 * stale. The service uses both; so does Azurite.
 */
export function isLeaseLost(error: unknown): boolean {
  const { statusCode, errorCode } = storageFailure(error);
  return statusCode === 404 || (statusCode === 400 && errorCode === 'PopReceiptMismatch');
}

const NOBODY = new Set([
  'CredentialUnavailableError',
  'AggregateAuthenticationError',
  'AuthenticationRequiredError',
]);

/** Of @azure/identity: nobody is logged in, or whoever is cannot be asked. */
export function isNobody(error: unknown): boolean {
  return error instanceof Error && NOBODY.has(error.name);
}

/** Runs a call at the door of a program; what cannot be reached becomes STORAGE_UNAVAILABLE with what to do. */
export async function reachStorage<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    if (isNobody(cause)) {
      throw new TransientError('STORAGE_UNAVAILABLE', `Cannot reach ${what}: nobody is logged in to Azure.`, {
        hint: 'az login, with --tenant TENANT where the account is in another. On a machine of Azure: give it an identity.',
        cause,
      });
    }
    const { statusCode } = storageFailure(cause);
    const why = statusCode === undefined ? 'it does not answer' : `it answered ${statusCode}`;
    throw new TransientError('STORAGE_UNAVAILABLE', `Cannot reach ${what}: ${why}.`, {
      hint:
        statusCode === 403
          ? 'Check that your identity has the roles this program needs on that account.'
          : 'Check FRAMEFLEET_MEDIA_STORAGE and FRAMEFLEET_SYSTEM_STORAGE, that the account (or Azurite) is up, and that its network rules let this machine in.',
      cause,
    });
  }
}
