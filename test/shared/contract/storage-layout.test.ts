import { expect, test } from 'vitest';

import { CONTAINERS, CONTAINER_NAMES, QUEUES, QUEUE_NAMES } from '../../../shared/contract/storage-layout.ts';

/** Azure's rule for containers and queues alike: 3 to 63 lower-case letters, digits and single dashes. */
const AZURE_NAME = /^(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*$/;

test('every container and queue has a name that Azure takes, and its own', () => {
  for (const name of [...CONTAINER_NAMES, ...QUEUE_NAMES]) expect(name).toMatch(AZURE_NAME);
  expect(new Set(QUEUE_NAMES).size).toBe(QUEUE_NAMES.length);
});

test('who is let into the media account finds videos and frames there, and nothing else', () => {
  const media = CONTAINER_NAMES.filter((name) => CONTAINERS[name] === 'media');
  expect(media.toSorted()).toEqual(['frames', 'incoming', 'results', 'scored']);
});

test('what cannot be worked is found beside its queue', () => {
  expect(QUEUES.frameBatchesPoison).toBe(`${QUEUES.frameBatches}-poison`);
});
