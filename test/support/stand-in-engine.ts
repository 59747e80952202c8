/**
 * Stands in for an engine whose model takes all memory unless frames run alone: it reports the frames that run together, up to four, and
 * is killed. A single frame is scored. With `STAND_IN_HANGS` the frames never end; with `STAND_IN_CRASHES` the first frame in float16
 * crashes it.
 */
import type { FromEngine, ToEngine } from '../../worker/engine/protocol.ts';

const TOGETHER = 4;
const crashes = process.env['STAND_IN_CRASHES'] !== undefined;
const hangs = process.env['STAND_IN_HANGS'] !== undefined;

process.on('message', (message: ToEngine) => {
  if (message.type !== 'run') return;
  const { microBatchMax, mayUseHalf } = message.request;
  if (crashes && mayUseHalf) process.kill(process.pid, 'SIGSEGV');
  void run(message.run, crashes ? 1 : (microBatchMax ?? TOGETHER));
});
process.on('disconnect', () => process.exit(0));

async function run(number: number, microBatch: number): Promise<void> {
  const loaded = {
    executionProvider: 'cpu',
    precision: 'float32',
    halfRefusal: null,
    cachedEngines: null,
  } as const;
  await say({ run: number, type: 'loaded', ...loaded, microBatch });
  await say({ run: number, type: 'computing', frames: [0, microBatch] });
  if (hangs) return;
  if (microBatch > 1) process.kill(process.pid, 'SIGKILL');
  await say({ run: number, type: 'computed', frames: [0, microBatch] });
  await say({ run: number, type: 'ended', refusal: null });
}

/** Resolves when the message has been sent. */
function say(message: FromEngine): Promise<void> {
  return new Promise((resolve) => process.send?.(message, undefined, undefined, () => resolve()));
}
