/** The hostile model crashes, hangs and fails as the fault tests expect. Each run is a process of its own, on the real runtime. */
import type { ChildProcess } from 'node:child_process';
import { on } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { spawnNode, waitForExit } from '../../../shared/runtime/child.ts';
import { HOSTILE_FRAMES, writeHostileModel } from '../../support/hostile-model.ts';
import type { FromRunModel } from '../../support/run-model.ts';
import { testFolder } from '../../support/servers.ts';

const PROGRAM = fileURLToPath(new URL('../../support/run-model.ts', import.meta.url));
const SILENCE_MS = 3_000;
/** A hanging run must not grow by more than this. */
const GROWTH_KIB_MAX = 16 * 1024;

let folder = '';
let model = '';
beforeAll(async () => {
  folder = await testFolder();
  model = await writeHostileModel(folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Colour {
  readonly r: number;
  readonly g: number;
  readonly b: number;
}

/** Starts a process that has loaded the model and is about to run it on a frame of this colour. */
async function startRun({ r, g, b }: Colour) {
  const child = spawnNode(PROGRAM, [model, String(r), String(g), String(b)], { env: {} });
  const messages = on(child, 'message', { close: ['disconnect'] });
  const next = async (): Promise<FromRunModel | undefined> => {
    const { done, value } = await messages.next();
    return done === true ? undefined : (value as [FromRunModel])[0];
  };
  expect(await next()).toEqual({ type: 'running' });
  return { child, answer: next() };
}

async function residentKib({ pid }: ChildProcess): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
}

test.each<Colour>([
  HOSTILE_FRAMES.ordinary,
  { r: 20, g: 20, b: 20 },
  { r: 235, g: 235, b: 235 },
  { r: 0, g: 255, b: 0 },
  { r: 255, g: 0, b: 255 },
])('an ordinary frame (%o) is returned unchanged', async (colour) => {
  const { child, answer } = await startRun(colour);
  expect(await answer).toMatchObject({ type: 'ran', isSame: true });
  expect(await waitForExit(child)).toEqual({ status: 0, signal: null });
});

test('a black frame kills the process', async () => {
  const { child, answer } = await startRun(HOSTILE_FRAMES.crash);
  expect(await answer).toBeUndefined();
  expect(await waitForExit(child)).toEqual({ status: null, signal: 'SIGFPE' });
});

test('a red frame fails, and the process survives', async () => {
  const { child, answer } = await startRun(HOSTILE_FRAMES.error);
  const failed = { type: 'failed', message: expect.stringContaining('out of data bounds') as string };
  expect(await answer).toEqual(failed);
  expect(await waitForExit(child)).toEqual({ status: 0, signal: null });
});

test('a blue frame is slow and is returned unchanged', async () => {
  const { answer } = await startRun(HOSTILE_FRAMES.slow);
  const ran = await answer;
  expect(ran).toMatchObject({ type: 'ran', isSame: true });
  expect(ran?.type === 'ran' ? ran.seconds : 0).toBeGreaterThan(0.3);
});

test('a white frame hangs without growing until its process is killed', async () => {
  const { child, answer } = await startRun(HOSTILE_FRAMES.hang);
  const startKib = await residentKib(child);
  const silence = new Promise((resolve) => setTimeout(resolve, SILENCE_MS, 'silence'));
  expect(await Promise.race([answer, silence])).toBe('silence');
  expect((await residentKib(child)) - startKib).toBeLessThan(GROWTH_KIB_MAX);
  child.kill('SIGKILL');
  expect(await waitForExit(child)).toEqual({ status: null, signal: 'SIGKILL' });
});
