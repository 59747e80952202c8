/** A scaler is paused while it leads, and resumes after another scaler has become the leader. */
import { rm } from 'node:fs/promises';

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { Ledger } from '../../shared/redis/ledger.ts';
import { openSplitJob } from '../support/build-job.ts';
import { type RunningCommand, startService } from '../support/commands.ts';
import { eventually } from '../support/eventually.ts';
import {
  type TestRedis,
  type TestStorage,
  startTestRedis,
  startTestStorage,
  testFolder,
} from '../support/servers.ts';
import { connect } from '../support/test-redis.ts';

let storage: TestStorage;
let redis: TestRedis;
let localFolder = '';
const scalers: RunningCommand[] = [];
beforeAll(async () => {
  [storage, redis, localFolder] = await Promise.all([startTestStorage(), startTestRedis(), testFolder()]);
});
afterEach(async () => {
  for (const { child, end } of scalers.splice(0)) {
    child.kill('SIGCONT');
    child.kill('SIGTERM');
    await end;
  }
});
afterAll(async () => {
  await Promise.all([storage[Symbol.asyncDispose](), redis[Symbol.asyncDispose]()]);
  await rm(localFolder, { recursive: true, force: true });
});

async function startScaler(): Promise<RunningCommand> {
  const scaler = startService('scaler', {
    localFolder,
    environment: {
      FRAMEFLEET_MEDIA_STORAGE: storage.connection.media,
      FRAMEFLEET_SYSTEM_STORAGE: storage.connection.system,
      FRAMEFLEET_REDIS_URL: redis.url,
      FRAMEFLEET_TICK_SECONDS: '0.2',
      FRAMEFLEET_LEADER_SECONDS: '3',
      FRAMEFLEET_CAPACITY_MAX: '1',
      FRAMEFLEET_LOG_LEVEL: 'debug',
    },
  });
  scalers.push(scaler);
  await scaler.said('service ready');
  return scaler;
}

const ticksOf = (scaler: RunningCommand): number => scaler.heard().split('"msg":"tick"').length - 1;

test('a scaler that resumes without leadership starts no worker for work that the new leader has handled', async () => {
  const first = await startScaler();
  await first.said('"isLeading":true,"msg":"leadership changed"');
  const second = await startScaler();
  await first.said('"msg":"tick"');
  first.child.kill('SIGSTOP');

  using connections = await connect(redis);
  await openSplitJob(new Ledger(connections.first), 'job-1', { frameCount: 100, batchSize: 10 });
  await second.said('"isLeading":true,"msg":"leadership changed"');
  await second.said('"msg":"scaling out"');

  const ticks = ticksOf(first);
  first.child.kill('SIGCONT');
  await first.said('"isLeading":false,"msg":"leadership changed"');
  await eventually('the first scaler ticks again', () => ticksOf(first) > ticks + 10);
  expect(first.heard()).not.toContain('scaling out');
  expect(first.heard()).toContain('"reason":"work-waits"');
});
