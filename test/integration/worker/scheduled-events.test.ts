/** The Scheduled Events poller against a metadata service that behaves as Azure's does, or worse. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { systemClock } from '../../../shared/runtime/clock.ts';
import { createLog } from '../../../shared/runtime/log.ts';
import type { EvictionNotice } from '../../../worker/host/scheduled-events-document.ts';
import {
  SCHEDULED_EVENTS_TIMING,
  ScheduledEvents,
  type ScheduledEventsTiming,
} from '../../../worker/host/scheduled-events.ts';
import { eventually } from '../../support/eventually.ts';
import { ScheduledEventsServer } from '../../support/scheduled-events-server.ts';

/** Production values, but polling a hundred times as fast. */
const TIMING: ScheduledEventsTiming = {
  pollEveryMs: 10,
  backoff: { minMs: 10, maxMs: 100 },
  timeoutMs: 2_000,
  firstTimeoutMs: 120_000,
  acknowledgeTimeoutMs: 2_000,
};
const VM = 'painters_7';
const PREEMPT = { eventType: 'Preempt', resources: [VM], noticeSeconds: 30 };

let server: ScheduledEventsServer;
const stops: (() => Promise<void>)[] = [];

beforeEach(async () => {
  server = await new ScheduledEventsServer().start();
});
afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()));
  await server[Symbol.asyncDispose]();
});

function watch({
  url = server.url,
  vmName = VM,
  timing = {},
  onEviction = () => undefined,
}: {
  readonly url?: string;
  readonly vmName?: string | null;
  readonly timing?: Partial<ScheduledEventsTiming>;
  readonly onEviction?: () => void;
} = {}) {
  const stopping = new AbortController();
  const log = createLog({ room: 'test', level: 'silent' });
  const logged: string[] = [];
  const note = (_fields: unknown, message = ''): void => void logged.push(message);
  vi.spyOn(log, 'info').mockImplementation(note);
  vi.spyOn(log, 'warn').mockImplementation(note);
  const notices: EvictionNotice[] = [];
  const events = new ScheduledEvents({
    url,
    vmName,
    clock: systemClock,
    log,
    signal: stopping.signal,
    onEviction: (notice) => {
      notices.push(notice);
      onEviction();
    },
    timing: { ...TIMING, ...timing },
  });
  const running = events.run();
  const stop = (): Promise<void> => {
    stopping.abort(new Error('the test stops watching'));
    return running;
  };
  stops.push(stop);
  return { events, notices, logged, stop };
}

/** Waits until the current document has been read at least once. */
async function polledAgain(): Promise<void> {
  const before = server.polls;
  await eventually('two more polls were made', () => server.polls >= before + 2);
}

const look = async (headers: Record<string, string> = { Metadata: 'true' }) => fetch(server.url, { headers });
const incarnation = async (): Promise<number> =>
  ((await (await look()).json()) as { DocumentIncarnation: number }).DocumentIncarnation;

test('an eviction is reported once, with its type and time, however often it is read', async () => {
  const { notices, logged } = watch();
  await polledAgain();
  expect(notices).toEqual([]);
  const before = Date.now();
  const eventId = server.schedule(PREEMPT);
  const [notice] = await eventually('a notice came', () => notices.length > 0 && notices);
  expect(notice).toEqual({
    eventId,
    eventType: 'Preempt',
    notBeforeAt: expect.any(Date) as Date,
    isShared: false,
  });
  const noticeMs = (notice?.notBeforeAt?.getTime() ?? 0) - before;
  expect(noticeMs).toBeGreaterThan(28_000);
  expect(noticeMs).toBeLessThan(60_000);
  await polledAgain();
  expect(notices).toHaveLength(1);
  expect(logged).toEqual(['scheduled events readable', 'eviction announced']);
});

test('a started event is reported without a time, and a reported event is not reported again when it starts', async () => {
  const { notices } = watch();
  const atOnce = server.schedule({ eventType: 'Redeploy', resources: [VM], noticeSeconds: 0 });
  await eventually('the first notice came', () => notices.length === 1);
  expect(notices).toEqual([{ eventId: atOnce, eventType: 'Redeploy', notBeforeAt: null, isShared: false }]);

  server.schedule({ eventType: 'Reboot', resources: [VM], noticeSeconds: 2 });
  await eventually('the second notice came', () => notices.length === 2);
  expect(notices[1]?.notBeforeAt).toBeInstanceOf(Date);
  const scheduled = await incarnation();
  await eventually('the event has started', async () => (await incarnation()) > scheduled);
  await polledAgain();
  expect(notices).toHaveLength(2);
});

test('two events give two notices, and a freeze between them gives none', async () => {
  const { notices } = watch();
  const terminate = server.schedule({
    eventType: 'Terminate',
    resources: ['painters_1', VM],
    noticeSeconds: 300,
  });
  server.schedule({ eventType: 'Freeze', resources: [VM], noticeSeconds: 900 });
  const preempt = server.schedule(PREEMPT);
  await eventually('both came', () => notices.length === 2);
  await polledAgain();
  expect(notices.map(({ eventId, eventType }) => [eventId, eventType])).toEqual([
    [terminate, 'Terminate'],
    [preempt, 'Preempt'],
  ]);
});

test('an event of another instance is ignored, unless this instance does not know its name', async () => {
  const named = watch();
  const nameless = watch({ vmName: null });
  const foreign = server.schedule({ ...PREEMPT, resources: ['painters_1'] });
  await eventually('the poller without a name reported it', () => nameless.notices.length === 1);
  const ours = server.schedule(PREEMPT);
  await eventually(
    'both pollers reported it',
    () => nameless.notices.length === 2 && named.notices.length > 0,
  );
  expect(nameless.notices.map(({ eventId }) => eventId)).toEqual([foreign, ours]);
  expect(named.notices.map(({ eventId }) => eventId)).toEqual([ours]);
});

test('an acknowledged event starts at once and is not reported again, but the next event is', async () => {
  const { events, notices, logged } = watch();
  const eventId = server.schedule({ ...PREEMPT, noticeSeconds: 3_600 });
  await eventually('the notice came', () => notices.length === 1);
  const before = await incarnation();
  await events.acknowledge(eventId);
  expect(server.acknowledged).toEqual([eventId]);
  expect(await incarnation()).toBe(before + 1);
  expect(logged).toContain('eviction acknowledged');
  await polledAgain();
  expect(notices).toHaveLength(1);

  server.clear();
  const next = server.schedule(PREEMPT);
  await eventually('the next notice came', () => notices.length === 2);
  expect(notices[1]?.eventId).toBe(next);
});

test('an event of several instances is not acknowledged, because the others may still be working', async () => {
  const { events, notices, logged } = watch();
  const eventId = server.schedule({ ...PREEMPT, resources: [VM, 'painters_8'] });
  await eventually('the notice came', () => notices.length === 1);
  await events.acknowledge(eventId);
  expect(server.acknowledged).toEqual([]);
  expect(logged).not.toContain('eviction not acknowledged');
});

test('a stopped poller can still acknowledge', async () => {
  const { events, stop } = watch();
  const eventId = server.schedule(PREEMPT);
  await stop();
  await events.acknowledge(eventId);
  expect(server.acknowledged).toEqual([eventId]);
});

test.each(['fails', 'hangs'] as const)(
  'an acknowledgement is tried twice and throws no error if the service %s',
  async (mode) => {
    const { events, logged, stop } = watch({ timing: { acknowledgeTimeoutMs: 100 } });
    const eventId = server.schedule(PREEMPT);
    await polledAgain();
    await stop();
    server.setMode(mode);
    await events.acknowledge(eventId);
    expect(server.acknowledged).toEqual([]);
    expect(logged.slice(2)).toEqual(['eviction not acknowledged', 'eviction not acknowledged']);
  },
);

test.each(['fails', 'invalid', 'hangs'] as const)(
  'in mode %s, the poller logs it once, goes on, and reports notices when the service recovers',
  async (mode) => {
    const { notices, logged } = watch({ timing: { timeoutMs: 250 } });
    await polledAgain();
    server.setMode(mode);
    server.schedule(PREEMPT);
    await polledAgain();
    await polledAgain();
    expect(notices).toEqual([]);
    expect(logged).toHaveLength(2);

    server.setMode('normal');
    await eventually('the notice came', () => notices.length === 1);
    await eventually('the recovery was logged', () => logged.length === 4);
    server.setMode(mode);
    await eventually('the failure was logged again', () => logged.length === 5);
    const [readable, unreadable] = ['scheduled events readable', 'scheduled events unreadable'];
    expect(logged).toEqual([readable, unreadable, 'eviction announced', readable, unreadable]);
  },
);

test('the first answer may take longer than later ones', async () => {
  server.setMode('hangs');
  const startedAtMs = systemClock.monotonicMs();
  const { notices, logged } = watch({ timing: { timeoutMs: 10, firstTimeoutMs: 1_000 } });
  await eventually('the first poll was given up', () => logged.length === 1);
  expect(systemClock.monotonicMs() - startedAtMs).toBeGreaterThan(900);
  server.schedule(PREEMPT);
  server.setMode('normal');
  await eventually('the notice came', () => notices.length === 1);
});

test('if the service is unreachable, the poller logs it once and goes on until it is stopped', async () => {
  const { url } = server;
  await server[Symbol.asyncDispose]();
  const { logged, events, stop } = watch({ url });
  await eventually('the failure was logged', () => logged.length === 1);
  await events.acknowledge('event-1');
  await stop();
  expect(logged.filter((message) => message.startsWith('scheduled events'))).toHaveLength(1);
  server = await new ScheduledEventsServer().start();
});

test('stopping ends a hanging poll without a log message', async () => {
  server.setMode('hangs');
  const { logged, stop } = watch();
  await eventually('the poll is made', () => server.polls === 1);
  await stop();
  expect(logged).toEqual([]);
});

test('a listener that throws does not prevent later notices', async () => {
  const { notices } = watch({
    onEviction: () => {
      throw new TypeError('the listener is broken');
    },
  });
  const ids = [server.schedule(PREEMPT), server.schedule(PREEMPT)];
  await eventually('both were reported', () => notices.length === 2);
  expect(notices.map(({ eventId }) => eventId)).toEqual(ids);
});

test('production polls every second and repeats a failed poll within ten seconds', () => {
  expect(SCHEDULED_EVENTS_TIMING).toMatchObject({
    pollEveryMs: 1_000,
    backoff: { maxMs: 10_000 },
    timeoutMs: 5_000,
    firstTimeoutMs: 120_000,
  });
});

test('the test service rejects the same requests as Azure’s', async () => {
  const post = (body: string) => fetch(server.url, { method: 'POST', headers: { Metadata: 'true' }, body });
  const answers = await Promise.all([
    look({}),
    look(),
    fetch(server.url.replace(/\?.*/, ''), { headers: { Metadata: 'true' } }),
    post('{'),
    post('{"StartRequests":[]}'),
    post('{"StartRequests":[{"EventId":"unknown"}]}'),
  ]);
  expect(answers.map(({ status }) => status)).toEqual([400, 200, 400, 400, 400, 400]);
});
