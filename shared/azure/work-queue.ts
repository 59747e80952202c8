/**
 * A work queue: receive a message under a lease, renew the lease, remove the message.
 *
 * Texts are sent unchanged: our messages are base64 already, because XML cannot hold every character. Work is received one
 * message at a time: a batch is much work, and a message that the SDK cannot parse would hide the others.
 */
import type { QueueClient } from '@azure/storage-queue';

import type { QueueName } from '../contract/storage-layout.ts';
import type { StorageAccount } from './credentials.ts';
import { BRISK, PATIENT, type RetryPolicy } from './retry-policy.ts';
import { boundedCall } from './storage-calls.ts';
import { isLeaseLost } from './storage-errors.ts';

export interface ReceivedMessage {
  readonly messageId: string;
  readonly popReceipt: string;
  /** Deliveries of this message so far, including this one. */
  readonly dequeueCount: number;
  readonly insertedAt: Date;
  readonly text: string;
}

/** Another worker has, or has had, the lease on the message. Change nothing that belongs to it. */
export class LeaseLostError extends Error {}

interface QueueCall {
  readonly signal?: AbortSignal;
}

export interface WorkQueue {
  readonly name: QueueName;
  /** Messages never expire. */
  send(text: string, options?: { readonly visibilityTimeoutSeconds?: number } & QueueCall): Promise<void>;
  /** One message, or undefined. It is invisible to other receivers for `visibilityTimeoutSeconds`. */
  receive(
    options: { readonly visibilityTimeoutSeconds: number } & QueueCall,
  ): Promise<ReceivedMessage | undefined>;
  /** Up to `max` messages, at most 32, each under its own lease: for browsing a queue. Empty if none is visible. */
  receiveSeveral(
    options: { readonly max: number; readonly visibilityTimeoutSeconds: number } & QueueCall,
  ): Promise<ReceivedMessage[]>;
  /** Sets visibility and text in one call. Returns the new pop receipt. Throws LeaseLostError. */
  update(
    message: Pick<ReceivedMessage, 'messageId' | 'popReceipt' | 'text'>,
    options: { readonly visibilityTimeoutSeconds: number } & QueueCall,
  ): Promise<string>;
  /** Throws LeaseLostError. */
  remove(message: Pick<ReceivedMessage, 'messageId' | 'popReceipt'>, options?: QueueCall): Promise<void>;
  /** Visible and leased messages. Never too low, sometimes too high. */
  countApprox(): Promise<number>;
}

/** Lease calls are brisk, because a try that outlives the lease does harm. Sends are patient. */
export async function openWorkQueue(
  account: StorageAccount,
  name: QueueName,
  leasePolicy: RetryPolicy = BRISK,
  sendPolicy: RetryPolicy = PATIENT,
): Promise<WorkQueue> {
  const open = async (policy: RetryPolicy): Promise<PolicyClient> => ({
    client: (await account.queues(policy)).getQueueClient(name),
    policy,
  });
  return workQueue(name, await open(leasePolicy), await open(sendPolicy));
}

interface PolicyClient {
  readonly client: QueueClient;
  readonly policy: RetryPolicy;
}

function workQueue(name: QueueName, leases: PolicyClient, sends: PolicyClient): WorkQueue {
  const receiveUpTo = async (
    max: number,
    visibilityTimeoutSeconds: number,
    signal: AbortSignal | undefined,
  ): Promise<ReceivedMessage[]> => {
    using call = boundedCall(leases.policy, signal);
    const { receivedMessageItems } = await leases.client.receiveMessages({
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
    async send(text, { visibilityTimeoutSeconds = 0, signal } = {}) {
      using call = boundedCall(sends.policy, signal);
      await sends.client.sendMessage(text, {
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
      using call = boundedCall(leases.policy, signal);
      const response = await unlessLost(
        leases.client.updateMessage(messageId, popReceipt, text, visibilityTimeoutSeconds, call),
      );
      if (response.popReceipt === undefined) throw new LeaseLostError('the response has no pop receipt');
      return response.popReceipt;
    },
    async remove({ messageId, popReceipt }, { signal } = {}) {
      using call = boundedCall(leases.policy, signal);
      await unlessLost(leases.client.deleteMessage(messageId, popReceipt, call));
    },
    async countApprox() {
      using call = boundedCall(leases.policy);
      return (await leases.client.getProperties(call)).approximateMessagesCount ?? 0;
    },
  };
}

async function unlessLost<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (cause) {
    if (isLeaseLost(cause)) throw new LeaseLostError('the lease on the message is lost', { cause });
    throw cause;
  }
}
