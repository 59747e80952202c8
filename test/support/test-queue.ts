/** An emptied queue of the test storage, with operations that `WorkQueue` does not have. */
import { BRISK, type RetryPolicy } from '../../shared/azure/credentials.ts';
import { type ReceivedMessage, type WorkQueue, openWorkQueue } from '../../shared/azure/work-queue.ts';
import type { QueueName } from '../../shared/contract/storage-layout.ts';
import type { TestStorage } from './servers.ts';

export interface TestQueue {
  readonly queue: WorkQueue;
  /** Removes every message, leased or not. */
  clear(): Promise<void>;
  /** When each visible message expires. */
  expiries(): Promise<Date[]>;
}

export async function openTestQueue(
  { accounts }: Pick<TestStorage, 'accounts'>,
  name: QueueName,
  leasePolicy: RetryPolicy = BRISK,
): Promise<TestQueue> {
  const client = (await accounts.system.queues(BRISK)).getQueueClient(name);
  await client.clearMessages();
  return {
    queue: await openWorkQueue(accounts.system, name, leasePolicy),
    clear: async () => {
      await client.clearMessages();
    },
    expiries: async () => {
      const { peekedMessageItems } = await client.peekMessages({ numberOfMessages: 32 });
      return peekedMessageItems.map(({ expiresOn }) => expiresOn);
    },
  };
}

/** Receives the next message. Throws if there is none. */
export async function mustReceive(
  queue: WorkQueue,
  { visibilityTimeoutSeconds = 30 }: { readonly visibilityTimeoutSeconds?: number } = {},
): Promise<ReceivedMessage> {
  const message = await queue.receive({ visibilityTimeoutSeconds });
  if (message === undefined) throw new Error(`expected a message on ${queue.name}, found none`);
  return message;
}
