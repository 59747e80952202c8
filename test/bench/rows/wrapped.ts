/** What the operators cost that `npm run model -- add` puts around a graph, compared with a script that converts the pixels itself. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { InferenceSession, Tensor } from 'onnxruntime-node';

import { formatOf } from '../../../worker/import/format.ts';
import { readGraph } from '../../../worker/import/graph.ts';
import { FRAMES, wrapGraph } from '../../../worker/import/wrap.ts';
import type { Scenario } from '../scenario.ts';

const MODEL = fileURLToPath(new URL('../../../../shared/data/models/candy.onnx', import.meta.url));
const SIDE = 720;
const PIXELS = SIDE * SIDE;
const RUNS = 4;
const OPTIONS = { intraOpNumThreads: 1, interOpNumThreads: 1 };

/** Undefined where the model is not there. */
export const wrapped: Scenario | undefined = existsSync(MODEL)
  ? {
      figures: [
        {
          name: 'wrapped',
          title: `${path.basename(MODEL)}, wrapped, from pixels to pixels`,
          unit: 'ratio of time',
          against: 'the graph as it was, with conversions in JavaScript',
          target: { max: 1 },
        },
      ],
      measure: async () => {
        const imported = await readGraph(MODEL);
        const format = formatOf(imported, { range: '0..255', channels: 'rgb', values: new Map() });
        const [inside, plain] = [
          await InferenceSession.create(Buffer.from(wrapGraph(imported, format)), OPTIONS),
          await InferenceSession.create(MODEL, OPTIONS),
        ];
        const pixels = Uint8Array.from({ length: PIXELS * 3 }, (_, index) => (index * 31) % 256);
        const times = { inside: 0, plain: 0 };
        // The first run of each prepares the session.
        for (let run = 0; run <= RUNS; run += 1) {
          if (run === 1) [times.inside, times.plain] = [0, 0];
          times.inside += await msOf(() =>
            inside.run({ [FRAMES]: new Tensor('uint8', pixels, [1, SIDE, SIDE, 3]) }),
          );
          times.plain += await msOf(() => runPlain(plain, pixels));
        }
        return { wrapped: times.inside / times.plain };
      },
    }
  : undefined;

async function runPlain(session: InferenceSession, pixels: Uint8Array): Promise<Uint8Array> {
  const planes = new Float32Array(PIXELS * 3);
  for (let pixel = 0; pixel < PIXELS; pixel += 1)
    for (let channel = 0; channel < 3; channel += 1)
      planes[channel * PIXELS + pixel] = pixels[pixel * 3 + channel] ?? 0;
  const [input = '', output = ''] = [session.inputNames[0], session.outputNames[0]];
  const answer = await session.run({ [input]: new Tensor('float32', planes, [1, 3, SIDE, SIDE]) });
  const scored = answer[output]?.data as Float32Array;
  const result = new Uint8Array(PIXELS * 3);
  for (let pixel = 0; pixel < PIXELS; pixel += 1)
    for (let channel = 0; channel < 3; channel += 1)
      result[pixel * 3 + channel] = Math.min(
        255,
        Math.max(0, Math.round(scored[channel * PIXELS + pixel] ?? 0)),
      );
  return result;
}

async function msOf(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}
