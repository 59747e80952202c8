import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';

import { exited, isMissingProgram, spawnNode, spawnTied, stopChild } from '../../../shared/runtime/child.ts';
import { errnoOf } from '../../../shared/runtime/errors.ts';

const CHILD_MODULE = new URL('../../../shared/runtime/child.ts', import.meta.url).href;
/** A bound for a hang, shorter than a test's. */
const bounded = () => ({ signal: AbortSignal.timeout(30_000) });
const PIPED: SpawnOptions = { stdio: ['ignore', 'pipe', 'ignore'] };
vi.setConfig({ testTimeout: 60_000 });
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'framefleet-test-'));
});
afterEach(() => {
  vi.useRealTimers();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function writeProgram(code: string): Promise<string> {
  const file = path.join(folder, `${randomUUID()}.ts`);
  await writeFile(file, code);
  return file;
}

function outputOf({ stdout }: ChildProcess): Readable {
  if (stdout === null) throw new TypeError('expected a pipe');
  return stdout;
}

/** A tied child that lives for long, and has installed its own answer to SIGTERM. */
async function spawnUp(onSigterm: string): Promise<ChildProcess> {
  const code = `process.on('SIGTERM', () => ${onSigterm}); setInterval(() => {}, 1000); console.log('up');`;
  const child = spawnTied(process.execPath, ['-e', code], PIPED);
  await once(outputOf(child), 'data', bounded());
  return child;
}

test('a tied child dies with its parent, even where that is killed without warning', async () => {
  const parentProgram = await writeProgram(`
    import { spawnTied } from ${JSON.stringify(CHILD_MODULE)};
    spawnTied('sh', ['-c', 'echo $$; exec sleep 1000'], { stdio: ['ignore', 'inherit', 'ignore'] });
  `);
  const parent = spawn(process.execPath, [parentProgram], PIPED);
  const [grandchildPid] = (await once(outputOf(parent), 'data', bounded())) as [Buffer];
  // The grandchild holds the other end of the pipe, too: it ends when both have gone.
  const bothGone = once(outputOf(parent), 'end', bounded());
  try {
    parent.kill('SIGKILL');
    await bothGone;
  } catch (error) {
    process.kill(Number(String(grandchildPid)), 'SIGKILL');
    throw error;
  }
  expect(await exited(parent)).toEqual({ status: null, signal: 'SIGKILL' });
});

test('a tied child hands on its output, its arguments and its exit status', async () => {
  const child = spawnTied('sh', ['-c', 'echo "$1 $2"; exit 7', '--', '-a b', '*'], PIPED);
  const [exit, output] = await Promise.all([exited(child), text(outputOf(child))]);
  expect({ ...exit, output }).toEqual({ status: 7, signal: null, output: '-a b *\n' });
  expect(isMissingProgram(exit, undefined)).toBe(false);
});

test('a program that is not there is told apart from one that fails', async () => {
  const child = spawnTied('framefleet-no-such-program', ['-x'], PIPED);
  let errno: string | undefined;
  child.on('error', (error) => {
    errno = errnoOf(error);
  });
  expect(isMissingProgram(await exited(child), errno)).toBe(true);
  expect(isMissingProgram({ status: 1, signal: null }, 'EACCES')).toBe(false);
  expect(isMissingProgram({ status: null, signal: null }, 'ENOENT')).toBe(true);
});

test('a Node program of ours has a channel, and no variable that it was not given', async () => {
  const program = await writeProgram(
    `process.send?.([process.env, process.argv.slice(2)]); process.disconnect();`,
  );
  const child = spawnNode(program, ['a b'], { env: { FRAMEFLEET_GPU: '1' } });
  const [[environment, args]] = (await once(child, 'message', bounded())) as [[NodeJS.ProcessEnv, string[]]];
  const given = Object.keys(environment).filter((name) => !name.startsWith('NODE_CHANNEL_'));
  expect(given.toSorted()).toEqual(['FRAMEFLEET_GPU', 'MALLOC_ARENA_MAX']);
  expect(args).toEqual(['a b']);
  expect(await exited(child)).toEqual({ status: 0, signal: null });
});

test('a child that heeds SIGTERM is given its time', async () => {
  const child = await spawnUp('process.exit(3)');
  expect(await stopChild(child, { graceMs: 60_000 })).toEqual({ status: 3, signal: null });
});

test('a child that ignores SIGTERM is killed when its grace is over', async () => {
  const child = await spawnUp('{}');
  expect(await stopChild(child, { graceMs: 20 })).toEqual({ status: null, signal: 'SIGKILL' });
});

test('a child that has gone already is stopped at once, and says how it went', async () => {
  const child = spawnTied('sh', ['-c', 'exit 5'], PIPED);
  await exited(child);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  expect(await stopChild(child, { graceMs: 60_000 })).toEqual({ status: 5, signal: null });
  expect(await exited(child)).toEqual({ status: 5, signal: null });
  expect(vi.getTimerCount()).toBe(0); // The grace keeps nobody waiting.
});
