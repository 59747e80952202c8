import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { createdBlobs } from '../../producer/intake/media-event.ts';

const SUBJECT = '/blobServices/default/containers/incoming/blobs/abc/job.json';
const CREATED = { container: 'incoming', name: 'abc/job.json' };
/** As Event Grid writes it, in its own schema. */
const EVENT = {
  id: '831e1650-001e-001b-66ab-eeb76e069631',
  topic: '/subscriptions/0/resourceGroups/r/providers/Microsoft.Storage/storageAccounts/media',
  subject: SUBJECT,
  eventType: 'Microsoft.Storage.BlobCreated',
  eventTime: '2026-11-23T06:15:02.0000000Z',
  data: {
    api: 'PutBlob',
    contentLength: 524_288,
    url: 'https://media.blob.core.windows.net/incoming/abc/job.json',
  },
  dataVersion: '',
  metadataVersion: '1',
};
const CLOUD_EVENT = {
  specversion: '1.0',
  type: 'Microsoft.Storage.BlobCreated',
  source: EVENT.topic,
  id: EVENT.id,
  time: EVENT.eventTime,
  subject: SUBJECT,
  data: EVENT.data,
};
const inBase64 = (text: string): string => Buffer.from(text).toString('base64');

test.each([
  ['Event Grid’s own schema', EVENT],
  ['a CloudEvent', CLOUD_EVENT],
  ['an array of one', [EVENT]],
])('%s tells of the blob that was created, in base64 or not', (_, event) => {
  const text = JSON.stringify(event);
  expect(createdBlobs(text)).toEqual([CREATED]);
  expect(createdBlobs(inBase64(text))).toEqual([CREATED]);
});

test('an array tells of all of its blobs, in order, whichever schema each is in', () => {
  const other = { ...CLOUD_EVENT, subject: '/blobServices/default/containers/frames/blobs/x.jpg' };
  const events = [EVENT, other, EVENT];
  expect(createdBlobs(JSON.stringify(events))).toEqual([
    CREATED,
    { container: 'frames', name: 'x.jpg' },
    CREATED,
  ]);
  expect(createdBlobs('[]')).toEqual([]);
});

test.each([
  ['of a blob that was deleted', { ...EVENT, eventType: 'Microsoft.Storage.BlobDeleted' }],
  ['of another kind', { ...CLOUD_EVENT, type: 'Microsoft.Storage.BlobCreatedElsewhere' }],
  ['of a container', { ...EVENT, subject: '/blobServices/default/containers/incoming' }],
  ['of a blob without a name', { ...EVENT, subject: '/blobServices/default/containers/incoming/blobs/' }],
  ['of something that only looks like a blob', { ...EVENT, subject: `/x${SUBJECT}` }],
])('an event %s tells of nothing, but is an event', (_, event) => {
  expect(createdBlobs(JSON.stringify(event))).toEqual([]);
});

test.each([
  ['a text', 'hello'],
  ['nothing', ''],
  ['JSON of something else', '{"subject":7}'],
  ['an event without a kind', JSON.stringify({ subject: SUBJECT })],
  ['an event without a subject', JSON.stringify({ eventType: EVENT.eventType })],
  ['a subject without end', JSON.stringify({ ...EVENT, subject: `${SUBJECT}${'x'.repeat(2048)}` })],
  ['a number', '7'],
  ['null', 'null'],
  ['base64 of garbage', inBase64('{"subject":')],
])('%s is no event', (_, text) => {
  expect(createdBlobs(text)).toBeUndefined();
});

test('garbage is no event, and never an error', () => {
  const garbage = fc.oneof(
    fc.string(),
    fc.base64String({ minLength: 1 }),
    fc.anything().map((value) => fc.stringify(value)),
    fc.json(),
  );
  fc.assert(
    fc.property(garbage, (text) => {
      fc.pre(!/^\s*\[\s*\]\s*$/.test(text));
      expect(createdBlobs(text)).toBeUndefined();
    }),
  );
});
