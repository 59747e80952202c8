/** Workers on one instance compete for a worker id. Each is a process of its own. */
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

/** Starts a process that claims the id. The outcome is `held`, or the reason why not. */
async function startWorker(workerId: string, ...args: readonly string[]) {
  const child = spawnNode(PROGRAM, [workerId, ...args], { env: {} });
  children.push(child);
  const [outcome] = (await once(child, 'message')) as [string];
  return { child, outcome };
}

test('a second worker with the same id is refused with a hint, and the first keeps the id', async () => {
  const workerId = newId();
  expect((await startWorker(workerId)).outcome).toBe('held');
  expect((await startWorker(workerId)).outcome).toContain(
    `A worker named ${workerId} is already running on this machine.`,
  );
  await expect(holdWorkerId(workerId)).rejects.toMatchObject({
    name: 'PermanentError',
    code: 'CONFIG_INVALID',
    hint: expect.stringContaining('FRAMEFLEET_GPU') as string,
    cause: expect.objectContaining({ code: 'EADDRINUSE' }) as Error,
  });
});

test('a worker for another GPU of the instance starts', async () => {
  const vmId = `vm-${randomUUID()}`;
  const outcomes = await Promise.all([startWorker(`${vmId}-0`), startWorker(`${vmId}-1`)]);
  expect(outcomes.map(({ outcome }) => outcome)).toEqual(['held', 'held']);
});

test('the id of a killed worker is free at once', async () => {
  const workerId = newId();
  const { child, outcome } = await startWorker(workerId);
  expect(outcome).toBe('held');
  child.kill('SIGKILL');
  expect(await waitForExit(child)).toMatchObject({ signal: 'SIGKILL' });
  expect((await startWorker(workerId)).outcome).toBe('held');
});

test('exactly one of many concurrent claims gets the id', async () => {
  const workerId = newId();
  const starts = await Promise.allSettled(Array.from({ length: 8 }, () => holdWorkerId(workerId)));
  const held = starts.filter((start) => start.status === 'fulfilled');
  expect(held).toHaveLength(1);
  for (const { value } of held) value[Symbol.dispose]();
});

test('a released id can be claimed again at once', async () => {
  const workerId = newId();
  for (let times = 0; times < 3; times += 1) {
    using _held = await holdWorkerId(workerId);
    await expect(holdWorkerId(workerId)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  }
});

test('holding an id does not keep the process alive', async () => {
  const { child, outcome } = await startWorker(newId(), 'leave');
  expect(outcome).toBe('held');
  expect(await waitForExit(child)).toEqual({ status: 0, signal: null });
});

test('an id that is too long for a socket name throws', async () => {
  await expect(holdWorkerId('x'.repeat(120))).rejects.toThrow(RangeError);
});
