import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { createdBlobs } from '../../producer/intake/media-event.ts';

const SUBJECT = '/blobServices/default/containers/incoming/blobs/abc/job.json';
const CREATED = { container: 'incoming', name: 'abc/job.json' };
/** An event in the Event Grid schema. */
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
  ['an event in the Event Grid schema', EVENT],
  ['a CloudEvent', CLOUD_EVENT],
  ['an array of one', [EVENT]],
])('%s names the created blob, in base64 or plain', (_, event) => {
  const text = JSON.stringify(event);
  expect(createdBlobs(text)).toEqual([CREATED]);
  expect(createdBlobs(inBase64(text))).toEqual([CREATED]);
});

test('an array with mixed schemas names all its blobs in order', () => {
  const other = { ...CLOUD_EVENT, subject: '/blobServices/default/containers/pieces/blobs/x.nut' };
  const events = [EVENT, other, EVENT];
  expect(createdBlobs(JSON.stringify(events))).toEqual([
    CREATED,
    { container: 'pieces', name: 'x.nut' },
    CREATED,
  ]);
  expect(createdBlobs('[]')).toEqual([]);
});

test.each([
  ['about a deleted blob', { ...EVENT, eventType: 'Microsoft.Storage.BlobDeleted' }],
  ['of another type', { ...CLOUD_EVENT, type: 'Microsoft.Storage.BlobCreatedElsewhere' }],
  ['about a container', { ...EVENT, subject: '/blobServices/default/containers/incoming' }],
  ['about a blob without a name', { ...EVENT, subject: '/blobServices/default/containers/incoming/blobs/' }],
  ['with a malformed subject', { ...EVENT, subject: `/x${SUBJECT}` }],
])('an event %s names no blob', (_, event) => {
  expect(createdBlobs(JSON.stringify(event))).toEqual([]);
});

test.each([
  ['plain text', 'hello'],
  ['an empty message', ''],
  ['unrelated JSON', '{"subject":7}'],
  ['an event without a type', JSON.stringify({ subject: SUBJECT })],
  ['an event without a subject', JSON.stringify({ eventType: EVENT.eventType })],
  [
    'an event with an overlong subject',
    JSON.stringify({ ...EVENT, subject: `${SUBJECT}${'x'.repeat(2048)}` }),
  ],
  ['a number', '7'],
  ['null', 'null'],
  ['base64 of malformed JSON', inBase64('{"subject":')],
])('%s is not an event', (_, text) => {
  expect(createdBlobs(text)).toBeUndefined();
});

test('arbitrary input is not an event and throws no error', () => {
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
