/** A queue of a test storage, emptied, and what its seam does not show. */
import { BRISK, type RetryPolicy } from '../../shared/azure/credentials.ts';
import { type ReceivedMessage, type WorkQueue, openWorkQueue } from '../../shared/azure/work-queue.ts';
import type { QueueName } from '../../shared/contract/storage-layout.ts';
import type { TestStorage } from './servers.ts';

export interface TestQueue {
  readonly queue: WorkQueue;
  /** Takes every message off the queue, whoever holds it. */
  clear(): Promise<void>;
  /** When each visible message expires. */
  expiries(): Promise<Date[]>;
}

export async function openTestQueue(
  { accounts }: Pick<TestStorage, 'accounts'>,
  name: QueueName,
  leaseCalls: RetryPolicy = BRISK,
): Promise<TestQueue> {
  const client = (await accounts.system.queues(BRISK)).getQueueClient(name);
  await client.clearMessages();
  return {
    queue: await openWorkQueue(accounts.system, name, leaseCalls),
    clear: async () => {
      await client.clearMessages();
    },
    expiries: async () => {
      const { peekedMessageItems } = await client.peekMessages({ numberOfMessages: 32 });
      return peekedMessageItems.map(({ expiresOn }) => expiresOn);
    },
  };
}

/** The next message, which is expected to be there. */
export async function mustReceive(
  queue: WorkQueue,
  { visibilityTimeoutSeconds = 30 }: { readonly visibilityTimeoutSeconds?: number } = {},
): Promise<ReceivedMessage> {
  const message = await queue.receive({ visibilityTimeoutSeconds });
  if (message === undefined) throw new Error(`expected a message on ${queue.name}, found none`);
  return message;
}
