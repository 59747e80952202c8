/** Runs a wrapped model on the picture of a trial, on the CPU. */
import type { ModelParameters } from '../../shared/contract/messages.ts';
import { type ModelManifest, parameterWeights } from '../../shared/contract/model-manifest.ts';
import type { FrameSize } from '../../shared/contract/segment.ts';
import { checkGraph } from '../engine/check-model.ts';
import { fitOf } from '../engine/fit.ts';
import { type InferAnswer, type Inference, stateOf } from '../engine/inference-client.ts';
import { readPicture, resizePicture } from '../engine/picture.ts';

/** Of the picture, unless the model has a fixed size: large enough to look at, small enough for any model. */
const PICTURE_WIDTH_MAX = 640;
const THREADS = 2;

/** Parameters that are not given have their first choice. */
export type RunModel = (
  pixels: Uint8Array,
  size: FrameSize,
  parameters?: ModelParameters,
) => Promise<InferAnswer>;

/** Throws if the model cannot be loaded, or if its graph is not what the manifest says. */
export async function loadForTrial(
  inference: Inference,
  manifest: ModelManifest,
  modelPath: string,
): Promise<RunModel> {
  const request = { modelPath, executionProviders: ['cpu'], threads: THREADS, deviceId: 0 };
  checkGraph(manifest, (await inference.load(request)).graph);
  const { input, output, state } = manifest;
  const names = 'kind' in output ? Object.values(output.tensors) : [output.name];
  const count = input.batch === 'any' || state !== undefined ? 1 : input.batch;
  return async (pixels, { width, height }, parameters = {}) => {
    const together = Buffer.concat(Array.from({ length: count }, () => pixels));
    const tensors = stateOf(manifest, { width, height });
    return inference.infer({
      input: { name: input.name, pixels: new Uint8Array(together), dims: [count, height, width, 3] },
      weights: parameterWeights(manifest, parameters),
      // At its start, a model that keeps still parts still shows the frame for itself.
      ...(tensors && { state: { tensors, isStart: true } }),
      outputs: names.map((name) => ({ name })),
    });
  };
}

export interface TrialPicture {
  /** Of the size that the model takes. */
  readonly pixels: Uint8Array;
  readonly fit: ReturnType<typeof fitOf>;
  /** Of the file. */
  readonly size: FrameSize;
}

export async function trialPicture(
  manifest: ModelManifest,
  picturePath: string,
  widthMax = PICTURE_WIDTH_MAX,
): Promise<TrialPicture> {
  const { pixels, size } = await readPicture(picturePath, widthMax);
  // As a whole: a tile is nothing else for the model.
  const { tile: _tile, ...whole } = manifest.input;
  const fit = fitOf({ ...manifest, input: whole }, size);
  const fitted = new Uint8Array(fit.input.width * fit.input.height * 3);
  await resizePicture(pixels, size, fitted, fit.input);
  return { pixels: fitted, fit, size };
}
