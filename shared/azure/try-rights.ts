/**
 * What an identity may do with the data of the two accounts, found out by trying: each try needs the right, and none of them
 * changes anything. To write is tried with a condition that no blob meets, to hold a lease with a message that is not there: whoever
 * may, hears of the condition or of the message; whoever may not, that they may not.
 */
import type { ContainerName, QueueName } from '../contract/storage-layout.ts';
import type { StorageAccount } from './credentials.ts';
import { BRISK } from './retry-policy.ts';
import { isConditionNotMet, isNobody, isNotFound, storageFailure } from './storage-errors.ts';

export type Try =
  | { readonly container: ContainerName; readonly right: 'read' | 'write' }
  | { readonly queue: QueueName; readonly right: 'hold' };

/**
 * allowed      it was, or would have been, done
 * absent       there is no such container or queue
 * no-role      known, and not allowed
 * no-entry     the account lets nobody in from here
 * nobody       no identity, or a token or key that this account does not take
 * refused      for another reason, which the code says
 * unanswered   it does not answer
 */
type TryOutcome = 'allowed' | 'absent' | 'no-role' | 'no-entry' | 'nobody' | 'refused' | 'unanswered';

/** No blob has it. */
const NO_ETAG = '"0x0"';
const PROBE_BLOB = 'doctor';
const NO_MESSAGE = { id: '00000000-0000-0000-0000-000000000000', receipt: 'AgAAAAMAAAAAAAAA' };

export interface TryResult {
  readonly outcome: TryOutcome;
  /** What the service said, where it said no. */
  readonly code: string | null;
}

export async function tryRight(
  account: StorageAccount,
  one: Try,
  abortSignal: AbortSignal,
): Promise<TryResult> {
  let result: TryResult = { outcome: 'allowed', code: null };
  for (const call of callsOf(account, one, abortSignal)) {
    try {
      await call();
    } catch (error) {
      result = resultOf(error, 'queue' in one);
    }
    if (result.outcome !== 'allowed') return result;
  }
  return result;
}

/** All of them must be allowed: to hold a lease is to renew it and to delete the message. */
function callsOf(account: StorageAccount, one: Try, abortSignal: AbortSignal): (() => Promise<unknown>)[] {
  if ('queue' in one) {
    const queue = async () => (await account.queues(BRISK)).getQueueClient(one.queue);
    const { id, receipt } = NO_MESSAGE;
    return [
      async () => (await queue()).updateMessage(id, receipt, undefined, 0, { abortSignal }),
      async () => (await queue()).deleteMessage(id, receipt, { abortSignal }),
    ];
  }
  const container = async () => (await account.blobs(BRISK)).getContainerClient(one.container);
  if (one.right === 'read')
    return [async () => (await container()).listBlobsFlat({ abortSignal }).byPage({ maxPageSize: 1 }).next()];
  const conditions = { ifMatch: NO_ETAG };
  return [
    async () => (await container()).getBlockBlobClient(PROBE_BLOB).upload('', 0, { conditions, abortSignal }),
  ];
}

function resultOf(error: unknown, isQueue: boolean): TryResult {
  const { statusCode, errorCode = null } = storageFailure(error);
  const result = (outcome: TryOutcome): TryResult => ({ outcome, code: errorCode });
  if (errorCode === 'ContainerNotFound' || errorCode === 'QueueNotFound') return result('absent');
  // Whoever may not is told so before a receipt that is none is looked at.
  if (isConditionNotMet(error) || isNotFound(error) || (isQueue && statusCode === 400))
    return result('allowed');
  if (isNobody(error) || statusCode === 401) return result('nobody');
  switch (errorCode) {
    case 'AuthorizationPermissionMismatch':
      return result('no-role');
    case 'AuthorizationFailure':
      return result('no-entry');
    case 'AuthenticationFailed':
    case 'InvalidAuthenticationInfo':
      return result('nobody');
    case null:
    default:
      return result(statusCode === 403 ? 'refused' : 'unanswered');
  }
}
