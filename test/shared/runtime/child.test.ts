import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';

import {
  isMissingProgram,
  spawnNode,
  spawnTied,
  stopChild,
  waitForExit,
} from '../../../shared/runtime/child.ts';
import { errnoOf } from '../../../shared/runtime/errors.ts';

const CHILD_MODULE = new URL('../../../shared/runtime/child.ts', import.meta.url).href;
/** Ends a hang before the time-out of the test does. */
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

/** Starts a long-running tied child that has installed this handler for SIGTERM. */
async function spawnRunning(onSigterm: string): Promise<ChildProcess> {
  const code = `process.on('SIGTERM', () => ${onSigterm}); setInterval(() => {}, 1000); console.log('up');`;
  const child = spawnTied(process.execPath, ['-e', code], PIPED);
  await once(outputOf(child), 'data', bounded());
  return child;
}

test.each([
  { child: 'a tied child', options: '', command: 'exec sleep 1000' },
  { child: 'a tied child that is stopped', options: ", deathSignal: 'KILL'", command: 'kill -STOP $$' },
])('$child dies with its parent, even if the parent is killed', async ({ options, command }) => {
  const parentProgram = await writeProgram(`
    import { spawnTied } from ${JSON.stringify(CHILD_MODULE)};
    spawnTied('sh', ['-c', 'echo $$; ${command}'], { stdio: ['ignore', 'inherit', 'ignore']${options} });
  `);
  const parent = spawn(process.execPath, [parentProgram], PIPED);
  const [grandchildPid] = (await once(outputOf(parent), 'data', bounded())) as [Buffer];
  // The grandchild also holds the pipe: it closes when both have exited.
  const bothExited = once(outputOf(parent), 'end', bounded());
  try {
    parent.kill('SIGKILL');
    await bothExited;
  } catch (error) {
    process.kill(Number(String(grandchildPid)), 'SIGKILL');
    throw error;
  }
  expect(await waitForExit(parent)).toEqual({ status: null, signal: 'SIGKILL' });
});

test('a tied child passes on its arguments, output and exit status', async () => {
  const child = spawnTied('sh', ['-c', 'echo "$1 $2"; exit 7', '--', '-a b', '*'], PIPED);
  const [exit, output] = await Promise.all([waitForExit(child), text(outputOf(child))]);
  expect({ ...exit, output }).toEqual({ status: 7, signal: null, output: '-a b *\n' });
  expect(isMissingProgram(exit, undefined)).toBe(false);
});

test('isMissingProgram distinguishes a missing program from one that fails', async () => {
  const child = spawnTied('framefleet-no-such-program', ['-x'], PIPED);
  let errno: string | undefined;
  child.on('error', (error) => {
    errno = errnoOf(error);
  });
  expect(isMissingProgram(await waitForExit(child), errno)).toBe(true);
  expect(isMissingProgram({ status: 1, signal: null }, 'EACCES')).toBe(false);
  expect(isMissingProgram({ status: null, signal: null }, 'ENOENT')).toBe(true);
});

test('spawnNode gives a program an IPC channel and only the given variables', async () => {
  const program = await writeProgram(
    `process.send?.([process.env, process.argv.slice(2)]); process.disconnect();`,
  );
  const child = spawnNode(program, ['a b'], { env: { FRAMEFLEET_GPU: '1' } });
  const [[environment, args]] = (await once(child, 'message', bounded())) as [[NodeJS.ProcessEnv, string[]]];
  const given = Object.keys(environment).filter((name) => !name.startsWith('NODE_CHANNEL_'));
  expect(given.toSorted()).toEqual(['FRAMEFLEET_GPU', 'MALLOC_ARENA_MAX']);
  expect(args).toEqual(['a b']);
  expect(await waitForExit(child)).toEqual({ status: 0, signal: null });
});

test('stopChild waits for a child that handles SIGTERM', async () => {
  const child = await spawnRunning('process.exit(3)');
  expect(await stopChild(child, { graceMs: 60_000 })).toEqual({ status: 3, signal: null });
});

test('stopChild kills a child that ignores SIGTERM after the grace period', async () => {
  const child = await spawnRunning('{}');
  expect(await stopChild(child, { graceMs: 20 })).toEqual({ status: null, signal: 'SIGKILL' });
});

test('stopChild returns the exit status of a child that has exited already', async () => {
  const child = spawnTied('sh', ['-c', 'exit 5'], PIPED);
  await waitForExit(child);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  expect(await stopChild(child, { graceMs: 60_000 })).toEqual({ status: 5, signal: null });
  expect(await waitForExit(child)).toEqual({ status: 5, signal: null });
  expect(vi.getTimerCount()).toBe(0); // No timer of the grace period is left.
});
