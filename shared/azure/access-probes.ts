/**
 * Finds out what an identity may do with the data of an account, with requests that need the access and change nothing: a
 * write with a condition that no blob meets, and a lease call for a message that does not exist. An identity with access gets
 * an error about the condition or the message; one without access gets an authorization error.
 */
import type { ContainerName, QueueName } from '../contract/storage-layout.ts';
import type { StorageAccount } from './credentials.ts';
import { BRISK } from './retry-policy.ts';
import { isConditionNotMet, isNotFound, isNotSignedIn, storageFailure } from './storage-errors.ts';

export type AccessProbe =
  | { readonly container: ContainerName; readonly right: 'read' | 'write' }
  | { readonly queue: QueueName; readonly right: 'hold' };

/**
 * allowed          the identity has the access
 * absent           the container or queue does not exist
 * no-role          the account knows the identity, which lacks the role
 * blocked          the account does not accept requests from this network
 * unauthenticated  there is no identity, or the account does not accept its token or key
 * refused          for another reason, given by the code
 * unanswered       the account does not respond
 */
type AccessOutcome =
  | 'allowed'
  | 'absent'
  | 'no-role'
  | 'blocked'
  | 'unauthenticated'
  | 'refused'
  | 'unanswered';

export interface AccessResult {
  readonly outcome: AccessOutcome;
  /** The error code of the service, if it refused. */
  readonly code: string | null;
}

/** No blob has this etag. */
const NO_ETAG = '"0x0"';
const PROBE_BLOB = 'doctor';
const NO_MESSAGE = { id: '00000000-0000-0000-0000-000000000000', receipt: 'AgAAAAMAAAAAAAAA' };

export async function probeAccess(
  account: StorageAccount,
  probe: AccessProbe,
  abortSignal: AbortSignal,
): Promise<AccessResult> {
  let result: AccessResult = { outcome: 'allowed', code: null };
  for (const call of probeCalls(account, probe, abortSignal)) {
    try {
      await call();
    } catch (error) {
      result = accessResult(error, 'queue' in probe);
    }
    if (result.outcome !== 'allowed') return result;
  }
  return result;
}

/** All of them must be allowed: holding a lease means renewing it and deleting the message. */
function probeCalls(
  account: StorageAccount,
  probe: AccessProbe,
  abortSignal: AbortSignal,
): (() => Promise<unknown>)[] {
  if ('queue' in probe) {
    const queue = async () => (await account.queues(BRISK)).getQueueClient(probe.queue);
    const { id, receipt } = NO_MESSAGE;
    return [
      async () => (await queue()).updateMessage(id, receipt, undefined, 0, { abortSignal }),
      async () => (await queue()).deleteMessage(id, receipt, { abortSignal }),
    ];
  }
  const container = async () => (await account.blobs(BRISK)).getContainerClient(probe.container);
  if (probe.right === 'read')
    return [async () => (await container()).listBlobsFlat({ abortSignal }).byPage({ maxPageSize: 1 }).next()];
  const conditions = { ifMatch: NO_ETAG };
  return [
    async () => (await container()).getBlockBlobClient(PROBE_BLOB).upload('', 0, { conditions, abortSignal }),
  ];
}

function accessResult(error: unknown, isQueue: boolean): AccessResult {
  const { statusCode, errorCode = null } = storageFailure(error);
  const result = (outcome: AccessOutcome): AccessResult => ({ outcome, code: errorCode });
  if (errorCode === 'ContainerNotFound' || errorCode === 'QueueNotFound') return result('absent');
  // The service checks authorization before it checks the condition, the message or its receipt.
  if (isConditionNotMet(error) || isNotFound(error) || (isQueue && statusCode === 400))
    return result('allowed');
  if (isNotSignedIn(error) || statusCode === 401) return result('unauthenticated');
  switch (errorCode) {
    case 'AuthorizationPermissionMismatch':
      return result('no-role');
    case 'AuthorizationFailure':
      return result('blocked');
    case 'AuthenticationFailed':
    case 'InvalidAuthenticationInfo':
      return result('unauthenticated');
    case null:
    default:
      return result(statusCode === 403 ? 'refused' : 'unanswered');
  }
}
