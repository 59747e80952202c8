/**
 * A queue of work: receive under a lease, renew it, settle it. The only importer of @azure/storage-queue besides
 * `credentials.ts`.
 *
 * Texts are sent as they are: our messages are base64 already, which keeps characters that XML cannot hold off the wire.
 * Work is received one message at a time: a batch is much work, and one unreadable neighbour would hide the others.
 */
import type { QueueClient } from '@azure/storage-queue';

import type { QueueName } from '../contract/storage-layout.ts';
import { boundedCall } from './bounded-call.ts';
import type { StorageAccount } from './credentials.ts';
import { BRISK, PATIENT, type RetryPolicy } from './retry-policy.ts';
import { isLeaseLost } from './storage-errors.ts';

export interface ReceivedMessage {
  readonly messageId: string;
  readonly popReceipt: string;
  /** Deliveries of this message so far, this one included. */
  readonly dequeueCount: number;
  readonly insertedAt: Date;
  readonly text: string;
}

/** The message is no longer ours: somebody else has it, or had it. Touch nothing. */
export class LeaseLostError extends Error {}

interface LeaseCall {
  readonly signal?: AbortSignal;
}

export interface WorkQueue {
  readonly name: QueueName;
  /** Messages never expire. */
  send(text: string, options?: { readonly visibilityTimeoutSeconds?: number }): Promise<void>;
  /** One message, or undefined. It is invisible to others for `visibilityTimeoutSeconds`. */
  receive(
    options: { readonly visibilityTimeoutSeconds: number } & LeaseCall,
  ): Promise<ReceivedMessage | undefined>;
  /** Up to `max` messages, 32 at most, under one lease each: for whoever looks through a queue. Empty where none is visible. */
  receiveSeveral(
    options: { readonly max: number; readonly visibilityTimeoutSeconds: number } & LeaseCall,
  ): Promise<ReceivedMessage[]>;
  /** Sets visibility and text in one call; returns the new pop receipt. Throws LeaseLostError. */
  update(
    message: Pick<ReceivedMessage, 'messageId' | 'popReceipt' | 'text'>,
    options: { readonly visibilityTimeoutSeconds: number } & LeaseCall,
  ): Promise<string>;
  /** Throws LeaseLostError. */
  remove(message: Pick<ReceivedMessage, 'messageId' | 'popReceipt'>, options?: LeaseCall): Promise<void>;
  /** Visible and in flight; never too low, sometimes too high. */
  countApprox(): Promise<number>;
}

/** Lease calls are brisk: a try that outlives the lease is worse than none. Sends are patient. */
export async function openWorkQueue(
  account: StorageAccount,
  name: QueueName,
  leaseCalls: RetryPolicy = BRISK,
  sends: RetryPolicy = PATIENT,
): Promise<WorkQueue> {
  const patient = (await account.queues(sends)).getQueueClient(name);
  const brisk = (await account.queues(leaseCalls)).getQueueClient(name);
  return workQueue({ name, patient, brisk, leaseCalls, sends });
}

function workQueue({
  name,
  patient,
  brisk,
  leaseCalls,
  sends,
}: {
  readonly name: QueueName;
  readonly patient: QueueClient;
  readonly brisk: QueueClient;
  readonly leaseCalls: RetryPolicy;
  readonly sends: RetryPolicy;
}): WorkQueue {
  const receiveUpTo = async (
    max: number,
    visibilityTimeoutSeconds: number,
    signal: AbortSignal | undefined,
  ): Promise<ReceivedMessage[]> => {
    using call = boundedCall(leaseCalls, signal);
    const { receivedMessageItems } = await brisk.receiveMessages({
      abortSignal: call.abortSignal,
      numberOfMessages: max,
      visibilityTimeout: visibilityTimeoutSeconds,
    });
    return receivedMessageItems.map((item) => ({
      ...item,
      insertedAt: item.insertedOn,
      text: item.messageText,
    }));
  };
  return {
    name,
    async send(text, { visibilityTimeoutSeconds = 0 } = {}) {
      using call = boundedCall(sends);
      await patient.sendMessage(text, {
        abortSignal: call.abortSignal,
        messageTimeToLive: -1,
        visibilityTimeout: visibilityTimeoutSeconds,
      });
    },
    async receive({ visibilityTimeoutSeconds, signal }) {
      return (await receiveUpTo(1, visibilityTimeoutSeconds, signal))[0];
    },
    receiveSeveral: ({ max, visibilityTimeoutSeconds, signal }) =>
      receiveUpTo(max, visibilityTimeoutSeconds, signal),
    async update({ messageId, popReceipt, text }, { visibilityTimeoutSeconds, signal }) {
      using call = boundedCall(leaseCalls, signal);
      const answer = await unlessLost(
        brisk.updateMessage(messageId, popReceipt, text, visibilityTimeoutSeconds, call),
      );
      if (answer.popReceipt === undefined) throw new LeaseLostError('the answer held no pop receipt');
      return answer.popReceipt;
    },
    async remove({ messageId, popReceipt }, { signal } = {}) {
      using call = boundedCall(leaseCalls, signal);
      await unlessLost(brisk.deleteMessage(messageId, popReceipt, call));
    },
    async countApprox() {
      using call = boundedCall(leaseCalls);
      return (await brisk.getProperties(call)).approximateMessagesCount ?? 0;
    },
  };
}

async function unlessLost<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    if (isLeaseLost(cause)) throw new LeaseLostError('the lease on the message is lost', { cause });
    throw cause;
  }
}
