import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { StepDeferredError } from '../../../producer/jobs/steps.ts';
import { waitForExit, spawnNode } from '../../../shared/runtime/child.ts';
import { PermanentError, TransientError } from '../../../shared/runtime/errors.ts';
import { eventually } from '../../support/eventually.ts';
import { type TestRedis, startTestRedis } from '../../support/servers.ts';
import { runMarker, startStepProducer, stepOf, untilStopped } from '../../support/step-producer.ts';
import { type Connections, connect } from '../../support/test-redis.ts';

const HOLD_STEP = fileURLToPath(new URL('../../support/hold-step.ts', import.meta.url));

let server: TestRedis;
let connections: Connections;

beforeAll(async () => {
  server = await startTestRedis();
  connections = await connect(server);
});
afterAll(async () => {
  connections[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await connections.first.flushall();
});

test('a step runs once, even if it is added again before, while and after it runs', async () => {
  const go = Promise.withResolvers<void>();
  await using producer = await startStepProducer(server, { run: () => go.promise });
  await using other = await startStepProducer(server, { step: 'stitch' });
  const add = () =>
    Promise.all(
      [producer, other, producer].map(({ steps }) => steps.add('split', stepOf('job-1'), 'normal')),
    );
  await add();
  await eventually('it runs', () => producer.runs.length > 0);
  await add();
  go.resolve();
  await runMarker(producer, 'job-marker-1');
  await add();
  await runMarker(producer, 'job-marker-2');
  expect(producer.runs).toEqual(['job-1', 'job-marker-1', 'job-marker-2']);
  expect(other.runs).toEqual([]);
});

test('waiting steps run in the order of priority, and those of the same priority in the order in which they were added', async () => {
  const go = Promise.withResolvers<void>();
  await using producer = await startStepProducer(server, {
    run: (jobId) => (jobId === 'job-running' ? go.promise : Promise.resolve()),
  });
  await producer.steps.add('split', stepOf('job-running'), 'low');
  await eventually('it runs', () => producer.runs.length > 0);
  const waiting = [
    ['job-low', 'low'],
    ['job-normal-1', 'normal'],
    ['job-high', 'high'],
    ['job-normal-2', 'normal'],
  ] as const;
  for (const [jobId, priority] of waiting) await producer.steps.add('split', stepOf(jobId), priority);
  go.resolve();
  await eventually('all have run', () => producer.runs.includes('job-low'));
  expect(producer.runs).toEqual(['job-running', 'job-high', 'job-normal-1', 'job-normal-2', 'job-low']);
});

test('a second split of a job is a step of its own, and runs once with its reason', async () => {
  await using producer = await startStepProducer(server);
  const again = { ...stepOf('job-1'), splitNumber: 2, againBecause: 'a piece is too short' };
  for (const run of [stepOf('job-1'), again, { ...again, againBecause: 'another reason' }])
    await producer.steps.add('split', run, 'normal');
  await runMarker(producer);
  expect(producer.jobRuns).toEqual([stepOf('job-1'), again, stepOf('job-marker')]);
});

test('each step runs on one of two producers, and split and stitch are separate', async () => {
  await using splitter = await startStepProducer(server);
  await using splitterToo = await startStepProducer(server);
  await using stitcher = await startStepProducer(server, { step: 'stitch' });
  const jobIds = Array.from({ length: 20 }, (_, index) => `job-${index}`);
  for (const jobId of jobIds) await splitter.steps.add('split', stepOf(jobId), 'normal');
  await splitter.steps.add('stitch', stepOf('job-0'), 'normal');
  await eventually('all have run', () => splitter.runs.length + splitterToo.runs.length >= jobIds.length);
  await eventually('the stitch has run', () => stitcher.runs.length > 0);
  expect([...splitter.runs, ...splitterToo.runs].toSorted()).toEqual(jobIds.toSorted());
  expect(stitcher.runs).toEqual(['job-0']);
});

test('a step is retried after a transient error and does not fail', async () => {
  await using producer = await startStepProducer(server, {
    run: (_jobId, _signal, times) =>
      times === 1
        ? Promise.reject(new TransientError('STORAGE_UNAVAILABLE', 'a bad moment'))
        : Promise.resolve(),
  });
  await producer.steps.add('split', stepOf('job-1'), 'normal');
  await eventually('it is tried again', () => producer.runs.length === 2);
  expect(producer.failures).toEqual([]);
});

test('a step fails once and is not retried after a permanent error', async () => {
  const error = new PermanentError('SOURCE_NOT_VIDEO', 'not a video');
  await using producer = await startStepProducer(server, {
    run: (jobId) => (jobId === 'job-1' ? Promise.reject(error) : Promise.resolve()),
  });
  await producer.steps.add('split', stepOf('job-1'), 'normal');
  await eventually('the failure is told', () => producer.failures.length > 0);
  await producer.steps.add('split', stepOf('job-1'), 'normal');
  // A retry would come after two seconds, like the retry of the marker step.
  await using slow = await startStepProducer(server, {
    step: 'stitch',
    run: (_jobId, _signal, times) => (times === 1 ? Promise.reject(new Error('once')) : Promise.resolve()),
  });
  await slow.steps.add('stitch', stepOf('job-marker'), 'normal');
  await eventually('another step was tried again', () => slow.runs.length === 2);
  await runMarker(producer);
  expect(producer.runs).toEqual(['job-1', 'job-marker']);
  expect(producer.failures).toEqual([{ jobId: 'job-1', error }]);
});

test('a step whose producer stops runs on the next one, without counting as an attempt', async () => {
  // As often as a step may be attempted. If one of these counted, the failure below would be the last.
  for (let handed = 0; handed < 4; handed += 1) {
    await using stopping = await startStepProducer(server, { run: (_jobId, signal) => untilStopped(signal) });
    await stopping.steps.add('split', stepOf('job-1'), 'normal');
    await eventually(`producer ${handed} has it`, () => stopping.runs.length > 0);
    await stopping.stop();
    expect(stopping.failures).toEqual([]);
  }
  await using last = await startStepProducer(server, {
    run: (_jobId, _signal, times) => (times === 1 ? Promise.reject(new Error('once')) : Promise.resolve()),
  });
  await eventually('it is tried again', () => last.runs.length === 2);
  expect(last.failures).toEqual([]);
});

test('another producer takes over a step whose producer is killed', async () => {
  const killed = spawnNode(HOLD_STEP, [server.url], { env: {} });
  const holds = new Promise((resolve) => killed.once('message', resolve));
  await using next = await startStepProducer(server, { step: 'stitch' });
  await next.steps.add('split', stepOf('job-1'), 'normal');
  expect(await holds).toEqual({ running: 'job-1' });
  killed.kill('SIGKILL');
  await waitForExit(killed);

  await using successor = await startStepProducer(server);
  await eventually('another producer runs it', () => successor.runs.length > 0);
  await runMarker(successor);
  expect(successor.runs).toEqual(['job-1', 'job-marker']);
  expect(successor.failures).toEqual([]);
});

test('a deferred step lets others run first, without counting as an attempt', async () => {
  // More often than a step may be attempted.
  const waits = 6;
  await using adding = await startStepProducer(server, { step: 'stitch' });
  await adding.steps.add('split', stepOf('job-1'), 'normal');
  await adding.steps.add('split', stepOf('job-2'), 'normal');
  await using producer = await startStepProducer(server, {
    run: (jobId, _signal, times) => {
      if (jobId !== 'job-1') return Promise.resolve();
      if (times <= waits) return Promise.reject(new StepDeferredError('no room', 20));
      return times === waits + 1 ? Promise.reject(new Error('once')) : Promise.resolve();
    },
  });
  const ofFirst = () => producer.runs.filter((jobId) => jobId === 'job-1').length;
  await eventually('it is tried again after its one failure', () => ofFirst() === waits + 2);
  expect(producer.runs.slice(0, 2)).toEqual(['job-1', 'job-2']);
  expect(producer.failures).toEqual([]);
});
