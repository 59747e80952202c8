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
const read = (text: string, vmName: string | null = 'painters_7') => readScheduledEvents(text, { vmName });

test('a machine that nothing will happen to has no notice', () => {
  expect(read(textOf())).toEqual(NOTHING);
});

test.each(['Preempt', 'Terminate', 'Reboot', 'Redeploy'])(
  '%s is a notice, with the time it has',
  (eventType) => {
    expect(read(textOf({ ...EVENT, EventType: eventType }))).toEqual({
      evictions: [{ ...NOTICE, eventType }],
      fault: null,
    });
  },
);

test.each(['Freeze', 'Teleport', 'preempt', ''])('%o is none', (eventType) => {
  expect(read(textOf({ ...EVENT, EventType: eventType }))).toEqual(NOTHING);
});

test('an event of an unknown kind may look like anything', () => {
  expect(read(textOf({ EventType: 'Teleport', Resources: 7 }))).toEqual(NOTHING);
});

test.each([
  ['another machine', 'painters_1', 0],
  ['a machine whose name begins like one of them', 'painters', 0],
  ['this machine', 'painters_0', 1],
  ['this machine, spelled in another case', 'PAINTERS_0', 1],
  ['a machine that was not told its name', null, 1],
])('an event of two machines concerns %s so often: %s, %i', (_who, vmName, times) => {
  expect(read(textOf(EVENT), vmName).evictions).toHaveLength(times);
});

test('an event of this machine alone is not shared', () => {
  expect(read(textOf({ ...EVENT, Resources: ['painters_7'] })).evictions).toEqual([
    { ...NOTICE, isShared: false },
  ]);
});

test('an event of no machine concerns only one that does not know its name', () => {
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
  ['no time', 'soon', null],
  ['no time, in a zone', 'soon GMT', null],
  ['a time without a zone', '2016-09-19T18:29:47', null],
  ['a number', 1_474_309_787, null],
])('a time that is %s is read for what it is, and the notice stands', (_what, notBefore, notBeforeAt) => {
  expect(read(textOf({ ...EVENT, NotBefore: notBefore }))).toEqual({
    evictions: [{ ...NOTICE, notBeforeAt }],
    fault: null,
  });
});

test('of two events both are told, in order', () => {
  const { evictions } = read(textOf(EVENT, { ...EVENT, EventId: 'second', EventType: 'Reboot' }));
  expect(evictions.map(({ eventId, eventType }) => [eventId, eventType])).toEqual([
    [EVENT.EventId, 'Preempt'],
    ['second', 'Reboot'],
  ]);
});

test.each([
  ['no object', 7],
  ['without a kind', { ...EVENT, EventType: undefined }],
  ['without an id', { ...EVENT, EventId: undefined }],
  ['with an empty id', { ...EVENT, EventId: '' }],
  ['with an id without end', { ...EVENT, EventId: 'x'.repeat(201) }],
  ['for nobody knows whom', { ...EVENT, Resources: 'painters_7' }],
])('an event %s is a fault, and hides no other', (_what, odd) => {
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
  ['events that are none', '{"DocumentIncarnation":1,"Events":{}}'],
])('%s is no document', (_what, text) => {
  expect(read(text)).toEqual({ evictions: [], fault: expect.stringContaining('the document') as string });
});

test('whatever an event is, it is never an error, and what is told has an id and a time that is one', () => {
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
