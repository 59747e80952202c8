import { expect, test } from 'vitest';

import { CONTAINERS, CONTAINER_NAMES, QUEUES, QUEUE_NAMES } from '../../../shared/contract/storage-layout.ts';

/** Azure's rule for both containers and queues: 3 to 63 lower-case letters, digits and single dashes. */
const AZURE_NAME = /^(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*$/;

test('every container and queue has a unique name that Azure accepts', () => {
  for (const name of [...CONTAINER_NAMES, ...QUEUE_NAMES]) expect(name).toMatch(AZURE_NAME);
  expect(new Set(QUEUE_NAMES).size).toBe(QUEUE_NAMES.length);
});

test('the media account holds only videos and their pieces and segments', () => {
  const media = CONTAINER_NAMES.filter((name) => CONTAINERS[name] === 'media');
  expect(media.toSorted()).toEqual(['incoming', 'pieces', 'results', 'scored']);
});

test('each poison queue is named after its queue', () => {
  expect(QUEUES.frameBatchesPoison).toBe(`${QUEUES.frameBatches}-poison`);
});
