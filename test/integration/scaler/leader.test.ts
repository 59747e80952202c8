/** Leader election: several candidates on a real Redis, and processes that are paused, resumed and killed. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { Leadership } from '../../../scaler/leader.ts';
import { spawnNode } from '../../../shared/runtime/child.ts';
import { type Clock, systemClock } from '../../../shared/runtime/clock.ts';
import { eventually } from '../../support/eventually.ts';
import { type TestRedis, startTestRedis } from '../../support/servers.ts';
import { silentLog as log } from '../../support/silent-log.ts';
import { type Connections, connect } from '../../support/test-redis.ts';

const PROGRAM = fileURLToPath(new URL('../../support/hold-leadership.ts', import.meta.url));
const LEASE_MS = 1_500;

let server: TestRedis;
let connections: Connections;
beforeAll(async () => {
  server = await startTestRedis();
  connections = await connect(server, 4);
});
afterAll(async () => {
  connections[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await connections.first.flushall();
});

/** The clock of one scaler, which a test can set ahead. */
class ShiftedClock implements Clock {
  aheadMs = 0;
  now(): Date {
    return systemClock.now();
  }
  sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(durationMs, signal);
  }
  monotonicMs(): number {
    return systemClock.monotonicMs() + this.aheadMs;
  }
}

function candidates(count: number, leaseMs = 60_000) {
  return Array.from({ length: count }, (_, index) => {
    const redis = connections.all[index] ?? connections.first;
    const clock = new ShiftedClock();
    return { clock, leader: new Leadership({ redis, name: 'test', leaseMs, clock, log }) };
  });
}

function pair(leaseMs?: number) {
  const [a, b] = candidates(2, leaseMs);
  if (a === undefined || b === undefined) throw new Error('expected two');
  return [a, b] as const;
}

describe('a leader', () => {
  test('is exactly one of several candidates, and stays the leader while it renews', async () => {
    const all = candidates(4);
    for (let round = 0; round < 20; round += 1) {
      const taken = await Promise.all(all.map(({ leader }) => leader.take()));
      expect(taken.filter(Boolean)).toHaveLength(1);
      expect(all.map(({ leader }) => leader.isLeading)).toEqual(taken);
      expect(await Promise.all(all.map(({ leader }) => leader.confirm()))).toEqual(taken);
    }
  });

  test('that releases its lease is replaced at once, and a follower releases nothing', async () => {
    const [a, b] = pair();
    expect(await a.leader.take()).toBe(true);
    await b.leader.release();
    expect(await a.leader.confirm()).toBe(true);
    await a.leader.release();
    expect([a.leader.isLeading, await a.leader.confirm()]).toEqual([false, false]);
    expect(await b.leader.take()).toBe(true);
  });

  test('that has not renewed in time stops leading by its own clock', async () => {
    const [a] = pair(60_000);
    await a.leader.take();
    a.clock.aheadMs = 53_000;
    expect([a.leader.isLeading, await a.leader.confirm()]).toEqual([true, true]);
    a.clock.aheadMs = 54_000;
    expect([a.leader.isLeading, await a.leader.confirm()]).toEqual([false, false]);
    expect(await a.leader.take()).toBe(true);
  });

  test('whose lease is gone from Redis finds out when it confirms', async () => {
    const [a, b] = pair();
    await a.leader.take();
    await connections.first.flushall();
    expect(a.leader.isLeading).toBe(true);
    expect(await a.leader.confirm()).toBe(false);
    expect(await b.leader.take()).toBe(true);
    expect(await a.leader.confirm()).toBe(false);
    expect(await a.leader.take()).toBe(false);
    expect(a.leader.isLeading).toBe(false);
  });

  test('that cannot reach Redis leads until its deadline, cannot confirm, and does not hang', async () => {
    const [a] = pair(3_000);
    await a.leader.take();
    const pid = server.pid ?? 0;
    process.kill(pid, 'SIGSTOP');
    try {
      expect(await a.leader.confirm()).toBe(false);
      expect(await a.leader.take()).toBe(true);
      await eventually('its deadline has passed', () => !a.leader.isLeading);
      expect(await a.leader.take()).toBe(false);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await eventually('it leads again', () => a.leader.take());
  });
});

interface Candidate {
  readonly child: ChildProcess;
  /** Unix times in ms of its actions so far. */
  readonly acts: () => number[];
}

describe('leader processes', () => {
  const started: Candidate[] = [];
  function start(): Candidate {
    const child = spawnNode(PROGRAM, [server.url, String(LEASE_MS)], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: process.env,
    });
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const acts = () => [...output.matchAll(/acted (\d+)/g)].map(([, at]) => Number(at));
    const one = { child, acts };
    started.push(one);
    return one;
  }
  const leads = (one: Candidate, since = 0) =>
    eventually('it acts', () => one.acts().some((at) => at > since));
  afterEach(async () => {
    for (const { child } of started.splice(0)) {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
  });

  test('a leader that is paused and resumed takes no action while another one leads', async () => {
    for (let round = 0; round < 3; round += 1) {
      await connections.first.flushall();
      const a = start();
      await leads(a);
      const b = start();
      a.child.kill('SIGSTOP');
      const stoppedAt = Date.now();
      await leads(b);
      const before = a.acts().length;
      a.child.kill('SIGCONT');
      await leads(b, Date.now() + 300);
      // Output from before the pause may arrive late.
      expect(
        a
          .acts()
          .slice(before)
          .filter((at) => at > stoppedAt),
      ).toEqual([]);
      const [firstOfB = 0] = b.acts();
      expect(firstOfB).toBeGreaterThan(stoppedAt);
      expect(a.acts().filter((at) => at > firstOfB)).toEqual([]);
      a.child.kill('SIGKILL');
      b.child.kill('SIGKILL');
    }
  });

  test('a killed leader is replaced within a lease, a stopped one at once', async () => {
    const a = start();
    await leads(a);
    const b = start();
    a.child.kill('SIGKILL');
    const killedAt = Date.now();
    await leads(b);
    expect((b.acts()[0] ?? 0) - killedAt).toBeLessThan(LEASE_MS * 3);
    const c = start();
    b.child.kill('SIGTERM');
    await once(b.child, 'exit');
    await leads(c);
    expect(b.acts().filter((at) => at > (c.acts()[0] ?? 0))).toEqual([]);
  });

  test('only one process acts at a time while leaders are paused and resumed', async () => {
    const all = [start(), start(), start()];
    const turns: number[] = [];
    for (let turn = 0; turn < 4; turn += 1) {
      const since = Date.now();
      const leading = await eventually('one leads', () =>
        all.find((one) => one.acts().some((at) => at > since)),
      );
      turns.push(all.indexOf(leading));
      leading.child.kill('SIGSTOP');
      const stoppedAt = Date.now();
      await eventually('another leads', () =>
        all.find((one) => one !== leading && one.acts().some((at) => at > stoppedAt)),
      );
      leading.child.kill('SIGCONT');
    }
    const acts = all
      .flatMap(({ acts: own }, candidate) => own().map((at) => ({ candidate, at })))
      .toSorted((a, b) => a.at - b.at);
    const changes = acts.filter(
      ({ candidate }, index) => index > 0 && acts[index - 1]?.candidate !== candidate,
    );
    expect(changes.length).toBeLessThanOrEqual(turns.length + 1);
  });
});
