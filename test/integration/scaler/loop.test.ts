/** The scaler's tick on real servers: observation, actions, removals, costs, and the memory across leaders. */
import { rm } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { keepRates, readFleetRates, readKeptRates } from '../../../producer/estimate/fleet-rates.ts';
import { act } from '../../../scaler/act/act.ts';
import { observe } from '../../../scaler/observe/observe.ts';
import { StorageClock } from '../../../scaler/observe/storage-clock.ts';
import { OverrideStore } from '../../../scaler/override/store.ts';
import { openBlobStore } from '../../../shared/azure/blob-store.ts';
import { BRISK } from '../../../shared/azure/credentials.ts';
import { FLEET_RATES_BLOB, drainBlob } from '../../../shared/contract/blob-names.ts';
import { UNATTRIBUTED } from '../../../shared/redis/spending.ts';
import { WorkRates } from '../../../shared/redis/work-rates.ts';
import { firstSplit, openSplitJob } from '../../support/build-job.ts';
import { eventually } from '../../support/eventually.ts';
import { POLICY, type ScalerFixture, openScalerFixture } from '../../support/scaler-fixture.ts';
import { startTestStorage, testFolder } from '../../support/servers.ts';

let fixture: ScalerFixture;
beforeAll(async () => {
  fixture = await openScalerFixture();
});
afterAll(() => fixture[Symbol.asyncDispose]());
beforeEach(() => fixture.clear());

const openJob = (jobId: string, frameCount = 100) =>
  openSplitJob(fixture.ledger, jobId, { frameCount, batchSize: 10 });

async function finishJob(jobId: string): Promise<void> {
  const job = await fixture.ledger.job(jobId);
  const scored = [[0, job?.framesExpected ?? 0]] as const;
  await fixture.ledger.resolve(firstSplit(jobId), {
    batchIndex: null,
    scored,
    failed: [],
    nowMs: Date.now(),
  });
  await fixture.ledger.move(jobId, 'completed');
  await fixture.ledger.close(jobId, job?.definition.epoch ?? 0);
}

async function leading(changes: Parameters<ScalerFixture['scaler']>[0] = {}) {
  const scaler = fixture.scaler(changes);
  await scaler.options.leader.take();
  return scaler;
}

async function drainRequests(): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of fixture.storage.blobs.list('control', { prefix: 'drain/' })) names.push(name);
  return names;
}

describe('a tick', () => {
  test('observes jobs, messages, instances, workers and drain requests', async () => {
    await openJob('job-1');
    await fixture.ledger.recordRate('painter', 8);
    await fixture.batches.send('one');
    await fixture.fleet.scaleOut('gpu', 2);
    await fixture.says('vm-1', { state: 'drained', drainEtag: '"0xABC"' });
    await fixture.storage.blobs.put('workers', 'unknown-0', '', { metadata: { beat: 'no heartbeat' } });
    await fixture.storage.blobs.put('control', drainBlob('vm-1'), '{}');
    const { options } = fixture.scaler();
    const seen = await observe(options);
    expect(seen).toMatchObject({
      messagesApprox: 1,
      backlog: [
        {
          jobId: 'job-1',
          model: 'painter',
          framesRemaining: 100,
          batchesRemaining: 10,
          megapixelsPerFrame: 0.5,
          isSplitting: false,
          spent: 0,
        },
      ],
      fleet: { instances: [{ vmId: 'vm-1' }, { vmId: 'vm-2' }] },
      override: null,
    });
    expect(seen.ratesByModel).toEqual(new Map([['painter', 8]]));
    expect([...(seen.workers?.keys() ?? [])]).toEqual(['vm-1']);
    const [report] = seen.workers?.get('vm-1') ?? [];
    expect(report?.beat).toMatchObject({ state: 'drained', drainEtag: '0xABC' });
    expect(Math.abs((report?.writtenAt.getTime() ?? 0) - seen.now.getTime())).toBeLessThan(3_000);
    const etag = (await fixture.storage.blobs.stat('control', drainBlob('vm-1')))?.etag ?? '';
    expect(seen.drainRequests).toEqual(new Map([['vm-1', etag.replaceAll('"', '')]]));
  });

  test('reports each source that cannot be read as unknown, within its time-out', async () => {
    const stopped = await startTestStorage();
    const blobs = await openBlobStore(stopped.accounts, { ...BRISK, tries: 1, callTimeoutMs: 500 });
    await stopped[Symbol.asyncDispose]();
    fixture.fleet.unreadable = new Error('no answer');
    const away = fixture.scaler({ blobs, readingMsMax: 2_000 });
    const overrides = new OverrideStore({ blobs, clock: away.options.clock, log: away.options.log });
    expect(await observe({ ...away.options, overrides })).toMatchObject({
      messagesApprox: 0,
      backlog: [],
      fleet: null,
      workers: null,
      drainRequests: null,
      override: 'unknown',
    });
    process.kill(fixture.server.pid ?? 0, 'SIGSTOP');
    try {
      const { options } = fixture.scaler({ readingMsMax: 1_000 });
      expect(await observe(options)).toMatchObject({ messagesApprox: 0, backlog: null, bootMs: null });
    } finally {
      process.kill(fixture.server.pid ?? 0, 'SIGCONT');
    }
  });

  test('starts instances for a job, drains idle ones when it is done, and removes them when they have drained', async () => {
    const { loop } = await leading();
    await openJob('job-1', 10);
    await loop.pass();
    expect(fixture.fleet.calls).toEqual(['scale-out 1']);
    await fixture.says('vm-1', { state: 'busy' });
    await loop.pass();
    await finishJob('job-1');
    await fixture.says('vm-1', { state: 'idle' });
    await eventually('it is asked to drain', async () => {
      await loop.pass();
      return (await drainRequests()).length > 0;
    });
    expect(await drainRequests()).toEqual(['drain/vm-1']);
    await loop.pass();
    expect(fixture.fleet.calls).toEqual(['scale-out 1']);
    await fixture.answersDrainRequest('vm-1');
    await loop.pass();
    expect(fixture.fleet.calls).toEqual(['scale-out 1', 'remove 0']);
    await eventually('its drain request is deleted', async () => {
      await loop.pass();
      return (await drainRequests()).length === 0;
    });
    expect((await loop.last()).decision.reason).toBe('nothing-to-do');
  });

  test('uses storage time when its own clock is wrong', async () => {
    const anHour = 3_600_000;
    const { clock } = fixture.scaler().options;
    const wrong = { ...clock, now: () => new Date(Date.now() + anHour) };
    const { options } = fixture.scaler({
      clock: wrong,
      storageClock: new StorageClock({ blobs: fixture.storage.blobs, clock: wrong }),
    });
    const { now } = await observe(options);
    expect(Math.abs(now.getTime() - Date.now())).toBeLessThan(3_000);
  });

  test('measures the boot time of an instance once, even with several scalers', async () => {
    const { loop } = await leading();
    await openJob('job-1', 10);
    await loop.pass();
    await fixture.says('vm-1', { state: 'booting', sequence: 1 });
    await loop.pass();
    const { observation } = await loop.last();
    expect(observation.bootMs).toBeGreaterThanOrEqual(0);
    expect(observation.bootMs).toBeLessThan(30_000);
    const saved = await fixture.redis.get('framefleet:scaler:boot-ms');
    const another = fixture.scaler();
    await another.loop.pass();
    expect(await fixture.redis.get('framefleet:scaler:boot-ms')).toBe(saved);
  });
});

describe('a scaler that does not lead', () => {
  test('observes and decides like the leader, and takes no action', async () => {
    const leader = await leading();
    const { loop, options } = fixture.scaler();
    await openJob('job-1');
    expect(await options.leader.take()).toBe(false);
    await loop.pass();
    const { decision, isLeading } = await loop.last();
    expect([decision.reason, isLeading]).toEqual(['work-waits', false]);
    expect(fixture.fleet.calls).toEqual([]);
    expect((await fixture.spending.read()).chargedUpToMs).toBeNull();
    await leader.loop.pass();
    expect(fixture.fleet.calls).toHaveLength(1);
  });

  test('continues with the memory of the last leader when it takes over', async () => {
    const first = await leading();
    fixture.fleet.refusal = { reason: 'quota', message: 'no', capacityThatFits: null, retryAfterMs: null };
    await openJob('job-1');
    await first.loop.pass();
    expect(fixture.fleet.calls).toHaveLength(1);
    await first.options.leader.release();
    const second = await leading();
    await second.loop.pass();
    expect(fixture.fleet.calls).toHaveLength(1);
    expect((await second.loop.last()).decision.reason).toBe('pools-blocked');
    expect((await second.loop.last()).remembered.blocked).toMatchObject({ gpu: { reason: 'quota' } });
  });

  test('stops between two actions when its lease ends', async () => {
    const { options } = await leading();
    const observation = await observe(options);
    let looks = 0;
    const leader = {
      get isLeading() {
        looks += 1;
        return looks === 1;
      },
      confirm: () => Promise.resolve(true),
    };
    const out = (total: number) => ({ kind: 'scale-out', pool: 'gpu', total }) as const;
    await act({ actions: [out(1), out(2)] }, observation, {
      ...options,
      leader,
      onOutcome: () => undefined,
      onRemoved: () => undefined,
    });
    expect(fixture.fleet.calls).toEqual(['scale-out 1']);
  });
});

describe('a removal', () => {
  /** Two drained instances as observed, and the decision to remove them. */
  async function decideRemoval() {
    const scaler = await leading();
    await fixture.fleet.scaleOut('gpu', 2);
    for (const vmId of ['vm-1', 'vm-2']) {
      await fixture.storage.blobs.put('control', drainBlob(vmId), '{}');
      await fixture.answersDrainRequest(vmId);
    }
    const observation = await observe(scaler.options);
    const removed: string[] = [];
    const decision = {
      actions: [
        {
          kind: 'remove',
          pool: 'gpu',
          instanceIds: ['0', '1'],
          vmIds: ['vm-1', 'vm-2'],
          why: 'idle',
          basis: 'drained',
        },
      ],
    } as const;
    fixture.fleet.calls.length = 0;
    return {
      scaler,
      removed,
      carryOut: () =>
        act(decision, observation, {
          ...scaler.options,
          onOutcome: () => undefined,
          onRemoved: (why, count) => removed.push(`${why} ${count}`),
        }),
    };
  }

  test('removes the drained instances in one call', async () => {
    const { carryOut, removed } = await decideRemoval();
    await carryOut();
    expect(fixture.fleet.calls).toEqual(['remove 0 1']);
    expect(removed).toEqual(['idle 2']);
  });

  test('spares an instance that has become busy since the decision', async () => {
    const { carryOut } = await decideRemoval();
    await fixture.says('vm-1', { state: 'busy' });
    await carryOut();
    expect(fixture.fleet.calls).toEqual(['remove 1']);
  });

  test('spares an instance whose drain request has been replaced', async () => {
    const { carryOut } = await decideRemoval();
    await fixture.storage.blobs.put('control', drainBlob('vm-2'), '{"again":true}');
    await carryOut();
    expect(fixture.fleet.calls).toEqual(['remove 0']);
  });

  test('is skipped if another scaler leads by now', async () => {
    const { carryOut, scaler } = await decideRemoval();
    await fixture.redis.set('framefleet:leader:scaler', 'another', 'PX', 60_000);
    expect(scaler.options.leader.isLeading).toBe(true);
    await carryOut();
    expect(fixture.fleet.calls).toEqual([]);
  });

  test('is skipped if Redis cannot confirm the leadership', async () => {
    const { carryOut } = await decideRemoval();
    process.kill(fixture.server.pid ?? 0, 'SIGSTOP');
    try {
      await carryOut();
    } finally {
      process.kill(fixture.server.pid ?? 0, 'SIGCONT');
    }
    expect(fixture.fleet.calls).toEqual([]);
  });
});

test('an existing drain request is not replaced, because workers quote its etag', async () => {
  const { options } = await leading();
  const drain = { actions: [{ kind: 'drain', vmIds: ['vm-1'], why: 'idle' }] } as const;
  const rest = { ...options, onOutcome: () => undefined, onRemoved: () => undefined };
  const observation = await observe(options);
  await act(drain, observation, rest);
  const first = await fixture.storage.blobs.stat('control', drainBlob('vm-1'));
  await act(drain, observation, rest);
  expect((await fixture.storage.blobs.stat('control', drainBlob('vm-1')))?.etag).toBe(first?.etag);
});

describe('the cost', () => {
  test('is charged to open jobs, or to no job without any, and the shares add up', async () => {
    const { loop } = await leading();
    await fixture.fleet.scaleOut('gpu', 2);
    await loop.pass();
    await eventually('idle time is charged', async () => {
      await loop.pass();
      return ((await fixture.spending.read()).byJob.get(UNATTRIBUTED)?.micros ?? 0) > 0;
    });
    await openJob('job-1', 30);
    await openJob('job-2', 10);
    await eventually('both jobs are charged', async () => {
      await loop.pass();
      return ((await fixture.spending.read()).byJob.get('job-2')?.machineMs ?? 0) > 5;
    });
    const { byJob, total } = await fixture.spending.read();
    const amounts = [...byJob.values()];
    expect(amounts.reduce((sum, { micros }) => sum + micros, 0)).toBe(total.micros);
    expect(amounts.reduce((sum, { machineMs }) => sum + machineMs, 0)).toBe(total.machineMs);
    // In this test, an instance costs a millionth of the currency per microsecond.
    expect(Math.abs(total.micros - total.machineMs * 1_000)).toBeLessThan(1_000 * 1_000);
    const [three, one] = [byJob.get('job-1')?.machineMs ?? 0, byJob.get('job-2')?.machineMs ?? 0];
    expect(three / one).toBeGreaterThan(2.5);
    expect(three / one).toBeLessThan(3.5);
    const spent = (await observe(fixture.scaler().options)).backlog?.map((job) => job.spent);
    expect(spent?.every((money) => money > 0)).toBe(true);
  });

  test('is charged once with concurrent charges, and continues after a restart', async () => {
    await fixture.fleet.scaleOut('gpu', 1);
    const first = await leading();
    await first.loop.pass();
    const { chargedUpToMs } = await fixture.spending.read();
    const byJob = new Map([[UNATTRIBUTED, { machineMs: 1000, micros: 1 }]]);
    const upToMs = (chargedUpToMs ?? 0) + 1000;
    const twice = await Promise.all([
      fixture.spending.charge({ sinceMs: chargedUpToMs, upToMs, byJob }),
      fixture.spending.charge({ sinceMs: chargedUpToMs, upToMs, byJob }),
    ]);
    expect(twice.filter(Boolean)).toHaveLength(1);
    expect((await fixture.spending.read()).chargedUpToMs).toBe(upToMs);
  });

  test('says what part of it machines booted and were idle, and the parts add up', async () => {
    const { loop } = await leading();
    await fixture.fleet.scaleOut('gpu', 3);
    await openJob('job-1');
    // The first boots, the second has a batch, the third waits for one.
    await fixture.says('vm-2', { state: 'busy' });
    await fixture.says('vm-3', { state: 'idle' });
    await eventually('each part is charged', async () => {
      await loop.pass();
      const { work, boot, idle } = await fixture.spending.ofJob('job-1');
      return [work, boot, idle].every(({ machineMs }) => machineMs > 5);
    });
    const { total, work, boot, idle } = await fixture.spending.ofJob('job-1');
    expect((await fixture.spending.read()).byJob.get('job-1')).toEqual(total);
    expect(work.machineMs + boot.machineMs + idle.machineMs).toBe(total.machineMs);
    expect(work.micros + boot.micros + idle.micros).toBe(total.micros);
    expect(await fixture.spending.ofJob('job-2')).toMatchObject({ total: { machineMs: 0, micros: 0 } });
  });

  test('of the earliest jobs is merged when there are too many jobs', async () => {
    const jobs = Array.from({ length: 1_010 }, (_, index) => `job-${String(index).padStart(5, '0')}`);
    const byJob = new Map(jobs.map((jobId) => [jobId, { machineMs: 2, micros: 3 }] as const));
    await fixture.spending.charge({ sinceMs: null, upToMs: 1, byJob });
    await fixture.spending.foldEarlierJobs(new Set(['job-00000']));
    const kept = await fixture.spending.read();
    expect(kept.byJob.size).toBe(1_002);
    expect(kept.byJob.get('earlier-jobs')).toEqual({ machineMs: 18, micros: 27 });
    expect(kept.byJob.has('job-00000')).toBe(true);
    expect(kept.total).toEqual({ machineMs: 2_020, micros: 3_030 });
  });
});

test('the leader publishes what the fleet has measured, and writes it again when a figure changes', async () => {
  const workRates = new WorkRates(fixture.redis);
  const published = () => readFleetRates(fixture.storage.blobs);
  const stored = () => fixture.storage.blobs.stat('control', FLEET_RATES_BLOB);
  await fixture.scaler().loop.pass();
  expect(await published()).toBeUndefined();

  await workRates.record('model:painter', 300, 3);
  await workRates.record('split:cut', 1000, 2);
  const { loop } = await leading();
  await loop.pass();
  expect(await published()).toMatchObject({
    models: { painter: 100 },
    split: { cut: 500, decode: null, images: null },
    join: null,
    bootSeconds: null,
    idleSeconds: 0,
    enginesPerMachine: 1,
    machinesMax: 10,
    pools: [{ name: 'gpu', pricePerHour: 3600 }],
  });
  const first = await stored();
  await workRates.record('model:painter', 303, 3);
  await loop.pass();
  expect(await stored()).toEqual(first);
  await workRates.record('model:painter', 900, 3);
  await loop.pass();
  expect((await published())?.models['painter']).toBeGreaterThan(150);

  // Kept on this machine, for estimates while no fleet runs.
  const folder = path.join(await testFolder(), 'local');
  expect(await readKeptRates(folder)).toBeUndefined();
  await keepRates(fixture.storage.blobs, folder);
  expect(await readKeptRates(folder)).toEqual(await published());
  await rm(path.dirname(folder), { recursive: true });
});

test('a loop that hangs is not live', async () => {
  let aheadMs = 0;
  const clock = { ...fixture.scaler().options.clock, monotonicMs: () => performance.now() + aheadMs };
  const { loop } = fixture.scaler({ clock, policy: POLICY });
  await loop.pass();
  expect(loop.isTicking()).toBe(true);
  aheadMs = 61_000;
  expect(loop.isTicking()).toBe(false);
  await loop.pass();
  expect(loop.isTicking()).toBe(true);
});
