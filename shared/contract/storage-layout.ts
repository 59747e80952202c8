/**
 * Where everything lies: two accounts, their containers and queues. PURE.
 *
 * People outside the team may be let into the media account; the queues and the models lie in the other one.
 */
export type AccountName = 'media' | 'system';

export const CONTAINERS = {
  incoming: 'media',
  frames: 'media',
  scored: 'media',
  results: 'media',
  models: 'system',
  logs: 'system',
  workers: 'system',
  control: 'system',
} as const satisfies Record<string, AccountName>;

export type ContainerName = keyof typeof CONTAINERS;

/** A partner's own, beside them in the media account: whoever is given its address may write there, and nothing else. */
export type ShareContainer = `share-${string}`;

export function accountOf(container: ContainerName | ShareContainer): AccountName {
  return isShare(container) ? 'media' : CONTAINERS[container];
}

export function isShare(container: string): container is ShareContainer {
  return container.startsWith('share-');
}

/** All in the system account. `<queue>-poison` holds what could not be worked. */
export const QUEUES = {
  frameBatches: 'frame-batches',
  frameBatchesPoison: 'frame-batches-poison',
  batchResults: 'batch-results',
  mediaEvents: 'media-events',
} as const;

export type QueueName = (typeof QUEUES)[keyof typeof QUEUES];

export const CONTAINER_NAMES = Object.keys(CONTAINERS) as ContainerName[];
export const QUEUE_NAMES: readonly QueueName[] = Object.values(QUEUES);
