import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { readScheduledEvents } from '../../worker/host/scheduled-events-document.ts';

/** As Azure documents it. */
const EVENT = {
  EventId: '602d9444-d2cd-49c7-8624-8643e7171297',
  EventType: 'Preempt',
  ResourceType: 'VirtualMachine',
  Resources: ['painters_0', 'painters_7'],
  EventStatus: 'Scheduled',
  NotBefore: 'Mon, 19 Sep 2016 18:29:47 GMT',
  Description: '',
  EventSource: 'Platform',
  DurationInSeconds: -1,
};
const NOTICE = {
  eventId: EVENT.EventId,
  eventType: 'Preempt',
  notBeforeAt: new Date('2016-09-19T18:29:47Z'),
  isShared: true,
};
const NOTHING = { evictions: [], fault: null };

const textOf = (...events: readonly unknown[]): string =>
  JSON.stringify({ DocumentIncarnation: 2, Events: events });
const read = (text: string, vmName: string | null = 'painters_7') => readScheduledEvents(text, vmName);

test('a document without events has no notice', () => {
  expect(read(textOf())).toEqual(NOTHING);
});

test.each(['Preempt', 'Terminate', 'Reboot', 'Redeploy'])(
  '%s is an eviction notice with its time',
  (eventType) => {
    expect(read(textOf({ ...EVENT, EventType: eventType }))).toEqual({
      evictions: [{ ...NOTICE, eventType }],
      fault: null,
    });
  },
);

test.each(['Freeze', 'Teleport', 'preempt', ''])('%o is not an eviction', (eventType) => {
  expect(read(textOf({ ...EVENT, EventType: eventType }))).toEqual(NOTHING);
});

test('an event of an unknown type is ignored, whatever its fields', () => {
  expect(read(textOf({ EventType: 'Teleport', Resources: 7 }))).toEqual(NOTHING);
});

test.each([
  ['another instance', 'painters_1', 0],
  ['an instance whose name is a prefix of theirs', 'painters', 0],
  ['this instance', 'painters_0', 1],
  ['this instance, in another case', 'PAINTERS_0', 1],
  ['an instance that does not know its name', null, 1],
])('an event of two instances gives %s (%s) %i notices', (_instance, vmName, times) => {
  expect(read(textOf(EVENT), vmName).evictions).toHaveLength(times);
});

test('an event of this instance alone is not shared', () => {
  expect(read(textOf({ ...EVENT, Resources: ['painters_7'] })).evictions).toEqual([
    { ...NOTICE, isShared: false },
  ]);
});

test('an event of no instance concerns only an instance that does not know its name', () => {
  const text = textOf({ ...EVENT, Resources: [] });
  expect(read(text)).toEqual(NOTHING);
  expect(read(text, null).evictions).toHaveLength(1);
});

test.each([
  ['RFC 1123, as documented', 'Mon, 19 Sep 2016 18:29:47 GMT', NOTICE.notBeforeAt],
  ['ISO 8601', '2016-09-19T18:29:47Z', NOTICE.notBeforeAt],
  ['blank, once it has started', '', null],
  ['absent', undefined, null],
  ['null', null, null],
  ['not a time', 'soon', null],
  ['not a time, with a zone', 'soon GMT', null],
  ['a time without a zone', '2016-09-19T18:29:47', null],
  ['a number', 1_474_309_787, null],
])('a notice stands if its time is %s', (_what, notBefore, notBeforeAt) => {
  expect(read(textOf({ ...EVENT, NotBefore: notBefore }))).toEqual({
    evictions: [{ ...NOTICE, notBeforeAt }],
    fault: null,
  });
});

test('two events give two notices, in order', () => {
  const { evictions } = read(textOf(EVENT, { ...EVENT, EventId: 'second', EventType: 'Reboot' }));
  expect(evictions.map(({ eventId, eventType }) => [eventId, eventType])).toEqual([
    [EVENT.EventId, 'Preempt'],
    ['second', 'Reboot'],
  ]);
});

test.each([
  ['that is not an object', 7],
  ['without a type', { ...EVENT, EventType: undefined }],
  ['without an id', { ...EVENT, EventId: undefined }],
  ['with an empty id', { ...EVENT, EventId: '' }],
  ['with a very long id', { ...EVENT, EventId: 'x'.repeat(201) }],
  ['without a list of instances', { ...EVENT, Resources: 'painters_7' }],
])('an event %s is a fault and does not hide other events', (_what, odd) => {
  expect(read(textOf(odd, EVENT))).toEqual({
    evictions: [NOTICE],
    fault: expect.stringContaining('event 0') as string,
  });
});

test.each([
  ['nothing', ''],
  ['a page', '<html>Please sign in</html>'],
  ['half a document', textOf(EVENT).slice(0, -9)],
  ['a number', '7'],
  ['null', 'null'],
  ['a list', JSON.stringify([EVENT])],
  ['an error', '{"error":"Bad request"}'],
  ['events that are not a list', '{"DocumentIncarnation":1,"Events":{}}'],
])('%s is not a valid document', (_what, text) => {
  expect(read(text)).toEqual({ evictions: [], fault: expect.stringContaining('the document') as string });
});

test('reading never throws, and every notice has an id and a valid time or none', () => {
  const field = fc.oneof(fc.anything(), fc.string(), fc.constantFrom('Preempt', 'Freeze', 'a GMT', 'Z'));
  const event = fc.record(
    { EventId: field, EventType: field, Resources: fc.oneof(field, fc.array(fc.string())), NotBefore: field },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(event, fc.anything())), (events) => {
      const text = JSON.stringify({ Events: events }, (_key, value: unknown) =>
        typeof value === 'bigint' ? String(value) : value,
      );
      for (const { eventId, notBeforeAt } of read(text, null).evictions) {
        expect(eventId).not.toBe('');
        expect(notBeforeAt?.getTime()).not.toBeNaN();
      }
    }),
  );
});
