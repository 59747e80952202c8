/**
 * The reference for the cost of a job: ffmpeg, the model and ffmpeg in pipes, driven by one process on one machine.
 *
 *   node test/bench/one-process-pipe.ts SOURCE MODEL.onnx WIDTH HEIGHT THREADS
 *
 * No storage, no queue, no leases: what a script would do. It encodes with the settings of a job and throws the result away. Prints
 * its CPU time with both children, and its wall time from the first byte read to the last one encoded, as JSON.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { InferenceSession, Tensor } from 'onnxruntime-node';

import { modelManifest, parameterWeights } from '../../shared/contract/model-manifest.ts';
import { type StateOfModel, stateOf } from '../../worker/engine/inference-client.ts';
import { ENCODER_ARGUMENTS, RGB_FROM_SOURCE, SOURCE_FROM_RGB } from './media-costs.ts';
import { cpuSecondsOf } from './process-stat.ts';

const [source = '', model = '', widthText = '', heightText = '', threads = '1'] = process.argv.slice(2);
const [width, height] = [Number(widthText), Number(heightText)];

const session = await InferenceSession.create(model, {
  executionProviders: ['cpu'],
  intraOpNumThreads: Number(threads),
  interOpNumThreads: 1,
  extra: { session: { intra_op: { allow_spinning: '0' } } },
});
const manifest = modelManifest.parse(
  JSON.parse(await readFile(path.join(path.dirname(model), 'model.json'), 'utf8')),
);
const inputName = manifest.input.name;
const outputName = 'name' in manifest.output ? manifest.output.name : '';
/** The first choice of each parameter, as for a job without parameters. */
const extra = Object.fromEntries(
  [...parameterWeights(manifest, {})].map(([name, row]) => [
    name,
    new Tensor('float32', row, [1, row.length]),
  ]),
);
const tensors = stateOf(manifest, { width, height }) ?? [];
/** By the input that takes it. */
const state = new Map(tensors.map((tensor) => [tensor.input, zerosOf(tensor)]));

const quiet = ['-hide_banner', '-loglevel', 'error', '-nostdin'];
const size = `${width}x${height}`;
const raw = ['-f', 'rawvideo', '-pix_fmt', 'rgb24'];
const startedAt = performance.now();
const decoder = spawn('ffmpeg', [...quiet, '-i', source, '-an', '-vf', RGB_FROM_SOURCE, ...raw, 'pipe:1'], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
const encoder = spawn(
  'ffmpeg',
  [...quiet, ...raw, '-s', size, '-r', '25', '-i', 'pipe:0', '-vf', SOURCE_FROM_RGB, ...ENCODER_ARGUMENTS],
  { stdio: ['pipe', 'ignore', 'inherit'] },
);
const encoded = once(encoder, 'exit');

let frame = new Uint8Array(width * height * 3);
let filled = 0;
let frames = 0;
let inferSeconds = 0;
for await (const chunk of decoder.stdout) {
  const bytes = chunk as Buffer;
  for (let offset = 0; offset < bytes.length;) {
    const taken = Math.min(bytes.length - offset, frame.length - filled);
    frame.set(bytes.subarray(offset, offset + taken), filled);
    filled += taken;
    offset += taken;
    if (filled < frame.length) continue;
    const inferStartedAt = performance.now();
    const outputs = await session.run({
      [inputName]: new Tensor('uint8', frame, [1, height, width, 3]),
      ...extra,
      ...Object.fromEntries(state),
    });
    for (const { input, output } of tensors) {
      const next = outputs[output];
      if (next !== undefined) state.set(input, next);
    }
    inferSeconds += (performance.now() - inferStartedAt) / 1000;
    const scored = outputs[outputName]?.data as Uint8Array;
    if (!encoder.stdin.write(scored)) await once(encoder.stdin, 'drain');
    frames += 1;
    frame = new Uint8Array(frame.length);
    filled = 0;
  }
}
encoder.stdin.end();
const [status] = (await encoded) as [number | null];
if (status !== 0) throw new Error(`the encoder ended with status ${status}`);
const wallSeconds = (performance.now() - startedAt) / 1000;
process.stdout.write(
  `${JSON.stringify({ frames, cpuSeconds: await cpuSecondsOf(process.pid), wallSeconds, inferSeconds })}\n`,
);

function zerosOf({ type, dims }: StateOfModel): Tensor {
  const length = dims.reduce((product, side) => product * side, 1);
  return type === 'uint8'
    ? new Tensor(type, new Uint8Array(length), dims)
    : new Tensor('float32', new Float32Array(length), dims);
}
