/**
 * The storage layout: two accounts, their containers and queues. PURE.
 *
 * People outside the team may get access to the media account. The queues and the models are in the system account.
 */
export type AccountName = 'media' | 'system';

export const CONTAINERS = {
  incoming: 'media',
  pieces: 'media',
  scored: 'media',
  results: 'media',
  models: 'system',
  logs: 'system',
  workers: 'system',
  control: 'system',
} as const satisfies Record<string, AccountName>;

export type ContainerName = keyof typeof CONTAINERS;

/** The container of a partner, in the media account. Its address allows writing only. */
export type ShareContainer = `share-${string}`;

export function accountOf(container: ContainerName | ShareContainer): AccountName {
  return isShare(container) ? 'media' : CONTAINERS[container];
}

export function isShare(container: string): container is ShareContainer {
  return container.startsWith('share-');
}

/** All in the system account. `<queue>-poison` holds the messages that could not be processed. */
export const QUEUES = {
  frameBatches: 'frame-batches',
  frameBatchesPoison: 'frame-batches-poison',
  batchResults: 'batch-results',
  mediaEvents: 'media-events',
} as const;

export type QueueName = (typeof QUEUES)[keyof typeof QUEUES];

export const CONTAINER_NAMES = Object.keys(CONTAINERS) as ContainerName[];
export const QUEUE_NAMES: readonly QueueName[] = Object.values(QUEUES);
