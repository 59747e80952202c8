import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, expect, test } from 'vitest';

import { findStack, holdRendezvous } from '../../../shared/runtime/rendezvous.ts';

const CARD = { pid: 4711, environment: { FRAMEFLEET_MEDIA_STORAGE: 'local', FRAMEFLEET_REDIS_URL: '' } };
const held = new Set<Server>();
const newFolder = (): string => path.join(tmpdir(), randomUUID());

async function hold(folder: string): Promise<void> {
  held.add(await holdRendezvous(folder, () => CARD));
}

async function giveUp(): Promise<void> {
  const closing = [...held].map((server) => once(server.close(), 'close'));
  held.clear();
  await Promise.all(closing);
}

afterEach(giveUp);

test('findStack returns the card of a folder’s stack to any number of callers', async () => {
  const folder = newFolder();
  await hold(folder);
  expect(await Promise.all([findStack(folder), findStack(`${folder}/`), findStack(folder)])).toEqual([
    CARD,
    CARD,
    CARD,
  ]);
});

test('findStack returns undefined for a folder without a stack or whose stack has stopped', async () => {
  const folder = newFolder();
  expect(await findStack(folder)).toBeUndefined();
  await hold(folder);
  expect(await findStack(folder)).toEqual(CARD);
  await giveUp();
  expect(await findStack(folder)).toBeUndefined();
});

test('a second stack for the same folder is refused with the process id of the first', async () => {
  const folder = newFolder();
  await hold(folder);
  await expect(hold(folder)).rejects.toMatchObject({
    code: 'STACK_ALREADY_RUNNING',
    message: expect.stringContaining('(process 4711)') as string,
  });
  expect(await findStack(folder)).toEqual(CARD);
});

test('of several stacks that start concurrently, exactly one succeeds', async () => {
  const folder = newFolder();
  const starts = await Promise.allSettled(Array.from({ length: 8 }, () => hold(folder)));
  expect(starts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});

test('a stack can start in another folder, or in the same folder after the first has stopped', async () => {
  const folder = newFolder();
  await hold(folder);
  await hold(newFolder());
  await giveUp();
  await hold(folder);
  expect(await findStack(folder)).toEqual(CARD);
});

test('findStack ignores an invalid card', async () => {
  const folder = newFolder();
  const card = { pid: 'x', environment: {} } as unknown as typeof CARD;
  held.add(await holdRendezvous(folder, () => card));
  expect(await findStack(folder)).toBeUndefined();
});
