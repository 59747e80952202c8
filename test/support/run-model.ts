/**
 * A process that runs a model on the CPU over one frame: `node run-model.ts <model> <r> <g> <b>`. The frame has one colour
 * and went through JPEG, as frames of a source that cannot be cut do. Sends `running`, then the outcome. If it hangs, the test kills it.
 */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import sharp from 'sharp';

import { describeError } from '../../shared/runtime/errors.ts';
import { decodeJpeg } from './decode-jpeg.ts';

export type FromRunModel =
  | { readonly type: 'running' }
  | { readonly type: 'ran'; readonly isSame: boolean; readonly seconds: number }
  | { readonly type: 'failed'; readonly message: string };

const [model = '', ...levels] = process.argv.slice(2);
const [r = 0, g = 0, b = 0] = levels.map(Number);
const create = { width: 67, height: 31, channels: 3, background: { r, g, b } } as const;
const { pixels, width, height } = await decodeJpeg(await sharp({ create }).jpeg({ quality: 95 }).toBuffer());

const session = await InferenceSession.create(model, {
  executionProviders: ['cpu'],
  graphOptimizationLevel: 'all',
  logSeverityLevel: 4,
});
await say({ type: 'running' });
await say(await run());
process.disconnect();

async function run(): Promise<FromRunModel> {
  const startedAt = performance.now();
  try {
    const { same } = await session.run({ frames: new Tensor('uint8', pixels, [1, height, width, 3]) });
    const seconds = (performance.now() - startedAt) / 1000;
    const isSame = same?.data instanceof Uint8Array && Buffer.compare(same.data, pixels) === 0;
    return { type: 'ran', isSame, seconds };
  } catch (error) {
    return { type: 'failed', message: describeError(error) };
  }
}

/** Resolves when the message has been sent, because a run blocks this thread. */
function say(message: FromRunModel): Promise<void> {
  return new Promise((resolve) => process.send?.(message, undefined, undefined, () => resolve()));
}
