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
 * no-entry     the account's network rules do not let this address in
 * nobody       no identity, or none that this account knows
 * unanswered   it does not answer
 */
type TryOutcome = 'allowed' | 'absent' | 'no-role' | 'no-entry' | 'nobody' | 'unanswered';

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
  try {
    if ('queue' in one) {
      const queues = await account.queues(BRISK);
      await queues
        .getQueueClient(one.queue)
        .deleteMessage(NO_MESSAGE.id, NO_MESSAGE.receipt, { abortSignal });
    } else {
      const container = (await account.blobs(BRISK)).getContainerClient(one.container);
      if (one.right === 'read')
        await container.listBlobsFlat({ abortSignal }).byPage({ maxPageSize: 1 }).next();
      else
        await container
          .getBlockBlobClient(PROBE_BLOB)
          .upload('', 0, { conditions: { ifMatch: NO_ETAG }, abortSignal });
    }
    return { outcome: 'allowed', code: null };
  } catch (error) {
    return resultOf(error);
  }
}

function resultOf(error: unknown): TryResult {
  const { statusCode, errorCode = null } = storageFailure(error);
  const result = (outcome: TryOutcome): TryResult => ({ outcome, code: errorCode });
  if (errorCode === 'ContainerNotFound' || errorCode === 'QueueNotFound') return result('absent');
  // Whoever may not is told so before anything else is looked at: a receipt that is none, too.
  if (isConditionNotMet(error) || isNotFound(error) || statusCode === 400) return result('allowed');
  if (errorCode === 'AuthorizationFailure') return result('no-entry');
  if (statusCode === 401 || isNobody(error)) return result('nobody');
  if (statusCode === 403) return result(errorCode === 'InvalidAuthenticationInfo' ? 'nobody' : 'no-role');
  return result('unanswered');
}
