/** Workers of one machine, as processes of their own. */
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { afterEach, expect, test } from 'vitest';

import { spawnNode, waitForExit } from '../../../shared/runtime/child.ts';
import { holdWorkerId } from '../../../worker/host/one-per-gpu.ts';

const PROGRAM = fileURLToPath(new URL('../../support/hold-worker-id.ts', import.meta.url));
const children: ChildProcess[] = [];
const newId = (): string => `vm-${randomUUID()}-0`;

afterEach(async () => {
  const started = children.splice(0);
  for (const child of started) child.kill('SIGKILL');
  await Promise.all(started.map((child) => waitForExit(child)));
});

/** A process that wants the id, and what came of it: `held`, or why not. */
async function startWorker(workerId: string, ...args: readonly string[]) {
  const child = spawnNode(PROGRAM, [workerId, ...args], { env: {} });
  children.push(child);
  const [outcome] = (await once(child, 'message')) as [string];
  return { child, outcome };
}

test('a second worker of an id is refused, with what to do, and the first keeps it', async () => {
  const workerId = newId();
  expect((await startWorker(workerId)).outcome).toBe('held');
  expect((await startWorker(workerId)).outcome).toContain(
    `A worker named ${workerId} runs on this machine already.`,
  );
  await expect(holdWorkerId(workerId)).rejects.toMatchObject({
    name: 'PermanentError',
    code: 'CONFIG_INVALID',
    hint: expect.stringContaining('FRAMEFLEET_GPU') as string,
    cause: expect.objectContaining({ code: 'EADDRINUSE' }) as Error,
  });
});

test('a worker for another GPU of the machine is welcome', async () => {
  const vmId = `vm-${randomUUID()}`;
  const outcomes = await Promise.all([startWorker(`${vmId}-0`), startWorker(`${vmId}-1`)]);
  expect(outcomes.map(({ outcome }) => outcome)).toEqual(['held', 'held']);
});

test('a worker that was killed leaves its id to the next, at once', async () => {
  const workerId = newId();
  const { child, outcome } = await startWorker(workerId);
  expect(outcome).toBe('held');
  child.kill('SIGKILL');
  expect(await waitForExit(child)).toMatchObject({ signal: 'SIGKILL' });
  expect((await startWorker(workerId)).outcome).toBe('held');
});

test('of many that start at once exactly one gets the id', async () => {
  const workerId = newId();
  const starts = await Promise.allSettled(Array.from({ length: 8 }, () => holdWorkerId(workerId)));
  const held = starts.filter((start) => start.status === 'fulfilled');
  expect(held).toHaveLength(1);
  for (const { value } of held) value[Symbol.dispose]();
});

test('an id that was given up can be had at once', async () => {
  const workerId = newId();
  for (let times = 0; times < 3; times += 1) {
    using _held = await holdWorkerId(workerId);
    await expect(holdWorkerId(workerId)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  }
});

test('holding an id keeps no process alive', async () => {
  const { child, outcome } = await startWorker(newId(), 'leave');
  expect(outcome).toBe('held');
  expect(await waitForExit(child)).toEqual({ status: 0, signal: null });
});

test('an id that is too long for a socket is a mistake of ours, and not cut', async () => {
  await expect(holdWorkerId('x'.repeat(120))).rejects.toThrow(RangeError);
});
