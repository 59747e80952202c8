/** The override over HTTP and in storage: authorization, validation, and the audit log. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';

import { controlApi } from '../../../scaler/api/control-api.ts';
import { addGuardedRoutes } from '../../../scaler/api/guarded-http.ts';
import { decide } from '../../../scaler/decide/decide.ts';
import { INITIAL_MEMORY } from '../../../scaler/decide/memory.ts';
import { TickHistory } from '../../../scaler/history.ts';
import { scalerMetrics } from '../../../scaler/metrics.ts';
import { OverrideStore } from '../../../scaler/override/store.ts';
import { POLICY_DEFAULTS as policy } from '../../../scaler/policy.ts';
import { OVERRIDE_AUDIT_BLOB, OVERRIDE_BLOB } from '../../../shared/contract/blob-names.ts';
import { systemClock } from '../../../shared/runtime/clock.ts';
import type { Http } from '../../../shared/runtime/http.ts';
import { createHttp, listen } from '../../../shared/runtime/http.ts';
import { createLog } from '../../../shared/runtime/log.ts';
import { LoopHealth } from '../../../shared/runtime/loop-health.ts';
import { MovableClock } from '../../support/movable-clock.ts';
import { buildSight } from '../../support/scaler-tick.ts';
import { type TestStorage, startTestStorage } from '../../support/servers.ts';

const TOKEN = 'correct-horse-battery-staple';
const FIXED = { mode: 'fixed', capacity: 4, ttlSeconds: 1800, reason: 'demo at ten', author: 'ada@desk' };
const END = { reason: 'over', author: 'bob' };

let storage: TestStorage;
beforeAll(async () => {
  storage = await startTestStorage();
});
afterAll(() => storage[Symbol.asyncDispose]());

let clock: MovableClock;
let overrides: OverrideStore;
let http: Http;
let origin = '';
const log = createLog({ room: 'test', level: 'silent' });
const logged = vi.spyOn(log, 'info');

async function serve(token: string | null): Promise<void> {
  const observation = buildSight();
  const { decision, memory: remembered } = decide(observation, policy, INITIAL_MEMORY);
  const memory = INITIAL_MEMORY;
  const tick = { observation, decision, memory, remembered, spending: null, isLeading: true };
  const loop = { last: () => Promise.resolve(tick) };
  http = createHttp({
    registry: scalerMetrics().registry,
    health: new LoopHealth(systemClock),
    isReady: () => true,
  });
  await addGuardedRoutes(http, {
    token,
    log,
    routes: controlApi({ loop, overrides, history: new TickHistory(policy), policy }),
  });
  origin = `http://127.0.0.1:${await listen(http, { host: '127.0.0.1', port: 0 })}`;
}

beforeEach(async () => {
  await storage.blobs.remove('control', OVERRIDE_BLOB);
  await storage.blobs.remove('logs', OVERRIDE_AUDIT_BLOB);
  clock = new MovableClock();
  logged.mockClear();
  overrides = new OverrideStore({ blobs: storage.blobs, clock, log });
  await serve(TOKEN);
});
afterEach(() => http.close());

interface Call {
  readonly token?: string | null;
  readonly body?: unknown;
}

async function call(method: string, path: string, { token = TOKEN, body }: Call = {}) {
  const response = await fetch(`${origin}${path}`, {
    method,
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  return { status: response.status, headers: response.headers, json: (await response.json()) as object };
}

async function record(): Promise<Record<string, unknown>[]> {
  const bytes = await storage.blobs.get('logs', OVERRIDE_AUDIT_BLOB);
  const lines = bytes === undefined ? [] : bytes.toString('utf8').trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('an override', () => {
  test('is stored with author, reason and end, for every scaler and across restarts', async () => {
    const { status, json } = await call('PUT', '/override', { body: FIXED });
    const override = {
      mode: 'fixed',
      capacity: 4,
      schedule: null,
      author: 'ada@desk',
      reason: 'demo at ten',
      setAt: '2026-11-23T00:00:00.000Z',
      expiresAt: '2026-11-23T00:30:00.000Z',
    };
    expect([status, json]).toEqual([
      200,
      { override: { ...override, meaning: 'exactly 4 instances' }, capacityMax: policy.capacityMax },
    ]);
    const another = new OverrideStore({ blobs: storage.blobs, clock, log });
    expect(await another.read()).toMatchObject({ mode: 'fixed', capacity: 4, author: 'ada@desk' });
    expect((await call('GET', '/override')).json).toMatchObject({ override });
  });

  test('replaces an earlier one and can be ended', async () => {
    await call('PUT', '/override', { body: FIXED });
    const pause = { mode: 'pause', ttlSeconds: 60, reason: 'moving', author: 'bob' };
    expect((await call('PUT', '/override', { body: pause })).status).toBe(200);
    expect(await overrides.read()).toMatchObject({ mode: 'pause', capacity: null });
    const ended = await call('DELETE', '/override', { body: END });
    expect(ended.json).toMatchObject({ ended: { mode: 'pause' } });
    expect(await overrides.read()).toBeNull();
    expect((await call('DELETE', '/override', { body: END })).json).toMatchObject({ ended: null });
  });

  test('may be a schedule, which is stored and shown as its text', async () => {
    const schedule = '0 8 * * 1-5 for 10h in Europe/Berlin at least 2; 0 9 * * 6 for 4h in UTC at least 1';
    const body = { mode: 'schedule', schedule, ttlSeconds: 60, reason: 'trade fair', author: 'bob' };
    const shown = { override: { mode: 'schedule', capacity: null, schedule } };
    expect((await call('PUT', '/override', { body })).json).toMatchObject(shown);
    expect((await call('GET', '/override')).json).toMatchObject(shown);
    expect(await overrides.read()).toMatchObject({ schedule: [{ capacity: 2 }, { timeZone: 'UTC' }] });
    const refused = await call('PUT', '/override', { body: { ...body, schedule: 'office hours' } });
    expect(refused.json).toMatchObject({
      error: {
        code: 'REQUEST_INVALID',
        message: expect.stringMatching(/schedule: expected a window/) as string,
      },
    });
  });

  test('expires, is no longer shown, and is removed by the loop', async () => {
    await call('PUT', '/override', { body: { ...FIXED, ttlSeconds: 60 } });
    clock.advance(59_999);
    await overrides.removeExpired(clock.now());
    expect(await overrides.read()).toMatchObject({ mode: 'fixed' });
    clock.advance(1);
    expect((await call('GET', '/override')).json).toMatchObject({ override: null });
    await overrides.removeExpired(clock.now());
    expect(await overrides.read()).toBeNull();
    await overrides.removeExpired(clock.now());
    expect((await record()).map(({ change }) => change)).toEqual(['set', 'expired']);
  });

  test('that is set while an expired one is being removed stays', async () => {
    await overrides.set({ ...FIXED, mode: 'fixed', ttlSeconds: 60 }, '10.0.0.1');
    clock.advance(60_000);
    const meanwhile = new OverrideStore({
      clock,
      log,
      blobs: {
        ...storage.blobs,
        append: async (...args) => {
          await storage.blobs.append(...args);
          await overrides.set({ ...FIXED, mode: 'min', ttlSeconds: 60 }, '10.0.0.2');
        },
      },
    });
    await meanwhile.removeExpired(clock.now());
    expect(await overrides.read()).toMatchObject({ mode: 'min' });
  });

  test('with an invalid blob is unknown and can be ended', async () => {
    await storage.blobs.put('control', OVERRIDE_BLOB, '{"version":99}');
    expect(await overrides.read()).toBe('unknown');
    expect((await call('GET', '/override')).json).toMatchObject({ override: 'unknown' });
    expect((await call('DELETE', '/override', { body: END })).json).toMatchObject({ ended: 'unknown' });
    expect(await overrides.read()).toBeNull();
  });

  test('is recorded at each change with author, reason, time and address, in storage and in the log', async () => {
    await call('PUT', '/override', { body: FIXED });
    clock.advance(5_000);
    await call('DELETE', '/override', { body: END });
    const address = '127.0.0.1';
    const override = { mode: 'fixed', capacity: 4, expiresAt: '2026-11-23T00:30:00.000Z' };
    const [set, ended, ...rest] = await record();
    expect(set).toMatchObject({
      at: '2026-11-23T00:00:00.000Z',
      change: 'set',
      author: 'ada@desk',
      reason: 'demo at ten',
      address,
      override,
    });
    expect(ended).toMatchObject({
      at: '2026-11-23T00:00:05.000Z',
      change: 'ended',
      ...END,
      address,
      override,
    });
    expect(rest).toEqual([]);
    expect(logged.mock.calls.map(([fields]) => fields)).toMatchObject([
      { change: 'set', author: 'ada@desk', address, mode: 'fixed', capacity: 4 },
      { change: 'ended', ...END, address },
    ]);
  });
});

describe('a caller without the token', () => {
  const ROUTES = [
    ['PUT', '/override'],
    ['DELETE', '/override'],
    ['GET', '/override'],
    ['GET', '/status'],
    ['GET', '/explain'],
  ] as const;

  test.each(ROUTES)('gets 401 from %s %s and changes nothing', async (method, path) => {
    await overrides.set({ ...FIXED, mode: 'fixed' }, '10.0.0.1');
    const body = method === 'GET' ? undefined : FIXED;
    for (const token of [null, '', 'wrong', `${TOKEN}x`, TOKEN.slice(0, -1), TOKEN.toUpperCase()]) {
      const { status, headers, json } = await call(method, path, { token, body });
      expect(status).toBe(401);
      expect(headers.get('www-authenticate')).toBe('Bearer');
      expect(json).toEqual({
        error: {
          code: 'TOKEN_REFUSED',
          message: expect.any(String) as string,
          hint: expect.stringContaining('Authorization: Bearer') as string,
        },
      });
    }
    expect(await overrides.read()).toMatchObject({ mode: 'fixed', capacity: 4 });
    expect(await record()).toHaveLength(1);
  });

  test('can read health and metrics', async () => {
    for (const path of ['/health/live', '/health/ready', '/metrics'])
      expect((await fetch(`${origin}${path}`)).status).toBe(200);
  });

  test('gets TOKEN_NOT_SET from a scaler without a token', async () => {
    await http.close();
    await serve(null);
    for (const [method, path] of ROUTES) {
      const { status, json } = await call(method, path, { body: method === 'GET' ? undefined : FIXED });
      expect(status).toBe(503);
      expect(json).toMatchObject({
        error: { code: 'TOKEN_NOT_SET', hint: expect.stringContaining('FRAMEFLEET_SCALER_TOKEN') as string },
      });
    }
    expect(await record()).toEqual([]);
  });

  test('gets 429 after 30 wrong tokens per minute, then 403, while a caller with the token is still served', async () => {
    const statuses: number[] = [];
    let last: Awaited<ReturnType<typeof call>> | undefined;
    for (let attempt = 0; attempt < 95; attempt += 1) {
      last = await call('GET', '/status', { token: `guess-${attempt}` });
      statuses.push(last.status);
    }
    expect([statuses[0], statuses[29], statuses[30], statuses[89], statuses[94]]).toEqual([
      401, 401, 429, 429, 403,
    ]);
    expect(last?.json).toMatchObject({
      error: { code: 'TOO_MANY_REQUESTS', hint: expect.any(String) as string },
    });
    expect(Number(last?.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await call('GET', '/status')).status).toBe(200);
  });
});

test('more than 30 changes per minute are refused, reads are not', async () => {
  const statuses: number[] = [];
  for (let attempt = 0; attempt < 32; attempt += 1)
    statuses.push((await call('PUT', '/override', { body: 'not even JSON' })).status);
  expect(statuses.filter((status) => status === 400)).toHaveLength(30);
  const refused = await call('PUT', '/override', { body: FIXED });
  expect(refused.status).toBe(429);
  expect(refused.json).toMatchObject({
    error: { code: 'TOO_MANY_REQUESTS', hint: expect.stringMatching(/Try again in/) as string },
  });
  expect((await call('GET', '/override')).status).toBe(200);
  expect(await overrides.read()).toBeNull();
});

test.each([
  ['malformed JSON', '{"mode":', /Cannot read/],
  ['an empty body', undefined, /is invalid/],
  ['no reason', { ...FIXED, reason: ' ' }, /reason/],
  ['no duration', { ...FIXED, ttlSeconds: undefined }, /ttlSeconds/],
  ['a duration of a month', { ...FIXED, ttlSeconds: 2_592_000 }, /ttlSeconds/],
  ['an unknown field', { ...FIXED, force: true }, /force/],
  ['a body that is too long', 'x'.repeat(20_000), /Cannot read/],
])('a change with %s is refused with the cause, and nothing is recorded', async (_, body, sentence) => {
  const { status, json } = await call('PUT', '/override', { body });
  expect(status).toBe(400);
  expect(json).toMatchObject({
    error: {
      code: 'REQUEST_INVALID',
      message: expect.stringMatching(sentence) as string,
      hint: expect.any(String) as string,
    },
  });
  expect(await overrides.read()).toBeNull();
  expect(await record()).toEqual([]);
});

test('an invalid query is refused, and an unknown path is ROUTE_UNKNOWN', async () => {
  expect((await call('GET', '/explain?backlog=many')).status).toBe(400);
  expect(await call('GET', '/explain?backlog=100000')).toMatchObject({
    status: 200,
    json: { whatIf: { backlog: 100_000 }, capacityDesired: policy.capacityMax },
  });
  expect(await call('POST', '/override?token=x')).toMatchObject({
    status: 404,
    json: { error: { code: 'ROUTE_UNKNOWN', message: 'No such route: POST /override.' } },
  });
});
