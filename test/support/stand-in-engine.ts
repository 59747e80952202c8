/**
 * Stands in for an engine whose model takes all memory unless frames run alone: it reports the frames that run together, up to four, and
 * is killed. A single frame is scored. With `STAND_IN_HANGS` the frames never end.
 */
import type { FromEngine, ToEngine } from '../../worker/engine/protocol.ts';

const TOGETHER = 4;
const hangs = process.env['STAND_IN_HANGS'] !== undefined;

process.on('message', (message: ToEngine) => {
  if (message.type === 'run') void run(message.run, message.request.microBatchMax ?? TOGETHER);
});
process.on('disconnect', () => process.exit(0));

async function run(number: number, microBatch: number): Promise<void> {
  await say({ run: number, type: 'loaded', executionProvider: 'cpu', microBatch });
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
