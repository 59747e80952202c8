/** What a worker learns from the death of its engine about the size of micro-batches and about float16. The engine is a stand-in process. */
import { fileURLToPath } from 'node:url';

import { afterEach, expect, test, vi } from 'vitest';

import { systemClock as clock } from '../../../shared/runtime/clock.ts';
import { EngineProcess, type RunEnd } from '../../../worker/engine/engine-process.ts';
import { buildBatch } from '../../support/build-batch.ts';
import { silentLog } from '../../support/silent-log.ts';

const PROGRAM = fileURLToPath(new URL('../../support/stand-in-engine.ts', import.meta.url));
const batch = buildBatch({ frameStart: 0, frameEnd: 8 });

let engine: EngineProcess | undefined;
afterEach(() => engine?.stop());

function start(changes: { readonly environment?: Record<string, string>; readonly stuckMs?: number } = {}) {
  const sizes: number[] = [];
  const onReduced = vi.fn<(microBatch: number) => void>();
  const { environment = {}, stuckMs = 300_000 } = changes;
  engine = new EngineProcess({
    environment,
    programPath: PROGRAM,
    limits: { stuckMs, loadMs: 300_000 },
    clock,
    log: silentLog,
    onDeath: () => undefined,
    onLoaded: (_provider, microBatch) => sizes.push(microBatch),
    onReduced,
  });
  return { engine, sizes, onReduced };
}

async function run(running: EngineProcess, width = batch.pieceFormat.width): Promise<RunEnd> {
  const request = {
    ...batch,
    pieceFormat: { ...batch.pieceFormat, width },
    segments: [{ frames: [0, 8] as const, givenUp: [], careful: [] }],
  };
  const listener = {
    computed: () => undefined,
    failed: () => undefined,
    answer: () => Promise.resolve(true),
    stored: () => undefined,
  };
  const { signal } = new AbortController();
  return running.run(request, listener, { stop: signal, discard: signal });
}

test('an engine that the memory killer takes starts again with half the micro-batch, and the worker remembers it', async () => {
  const { engine: running, sizes, onReduced } = start();
  expect(await run(running)).toMatchObject({ kind: 'died', computing: [0, 1, 2, 3] });
  expect(await run(running)).toMatchObject({ kind: 'died', computing: [0, 1] });
  expect(await run(running)).toEqual({ kind: 'ended' });
  expect(sizes).toEqual([4, 2, 1]);
  expect(onReduced.mock.calls).toEqual([[2], [1]]);
  await run(running, 4_096);
  await run(running);
  expect(sizes.slice(3)).toEqual([4, 1]);
});

test('an engine that the worker kills because it hangs says nothing about memory', async () => {
  const { engine: running, sizes, onReduced } = start({ environment: { STAND_IN_HANGS: '1' }, stuckMs: 10 });
  for (let death = 0; death < 2; death += 1)
    expect(await run(running)).toMatchObject({ kind: 'died', computing: [0, 1, 2, 3] });
  expect(sizes).toEqual([4, 4]);
  expect(onReduced).not.toHaveBeenCalled();
});

test('after an engine has crashed before its first frame, the model runs without float16', async () => {
  const { engine: running } = start({ environment: { STAND_IN_CRASHES: '1' } });
  expect(await run(running)).toMatchObject({ kind: 'died', computing: [] });
  expect(await run(running)).toEqual({ kind: 'ended' });
  expect(await run(running)).toEqual({ kind: 'ended' });
});
