/**
 * Checks that a model's graph and its output match `model.json`. PURE.
 *
 * The file is the one that the job pinned by its hash, so a mismatch is the model's fault on every instance: the job fails at once
 * with the difference as its reason.
 */
import type {
  ModelManifest,
  NumbersOutput,
  PictureModel,
  StateTensor,
} from '../../shared/contract/model-manifest.ts';
import type { FrameSize } from '../../shared/contract/segment.ts';

/** An input or output as the graph describes it. A free dimension is a name. */
export interface GraphValue {
  readonly name: string;
  readonly type: string;
  /** Empty if the graph does not describe it. */
  readonly shape: readonly (number | string)[];
}

export interface ModelGraph {
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
}

/** A model that does not match its manifest. The message is for the owner of the job. */
export class ModelMismatchError extends Error {}

/** Throws ModelMismatchError if the graph does not take and return frames as the manifest declares. */
export function checkGraph(manifest: ModelManifest, { inputs, outputs }: ModelGraph): void {
  const { batch } = manifest.input;
  checkFrames('input', manifest.input.name, inputs, batch);
  checkInputSize(manifest.input, inputs);
  if ('kind' in manifest.output) checkNumbers(manifest.output, outputs);
  else checkFrames('output', manifest.output.name, outputs, batch);
  for (const [name, { values }] of Object.entries(manifest.parameters)) {
    const { type, shape } = valueOf('input', name, inputs);
    if (type !== 'float32') throw mismatch('input', name, 'float32', type);
    const [, length] = shape;
    if (typeof length === 'number' && length > 0 && length !== values.length)
      throw mismatch('input', name, `a row of ${values.length} weights`, `a row of ${length} weights`);
  }
  const state = manifest.state?.tensors ?? [];
  for (const tensor of state) checkState(manifest, tensor, inputs, outputs);
  const declared = new Set([
    manifest.input.name,
    ...Object.keys(manifest.parameters),
    ...state.map(({ input }) => input),
  ]);
  const extra = inputs.find(({ name }) => !declared.has(name));
  if (extra !== undefined)
    throw new ModelMismatchError(`The graph has an input "${extra.name}" that model.json does not declare.`);
}

export interface FramesPerRun {
  readonly max: number;
  /** The graph takes no other number. */
  readonly isFixed: boolean;
}

/** How many frames the model takes in one run: what the graph says, or what the manifest allows if the graph leaves the batch free. */
export function framesPerRunOf(
  { input, output, state }: ModelManifest,
  { inputs, outputs }: ModelGraph,
): FramesPerRun {
  if (state !== undefined) return { max: 1, isFixed: false };
  const [batchIn = 1] = valueOf('input', input.name, inputs).shape;
  const names = 'kind' in output ? Object.values(output.tensors) : [output.name];
  const batchesOut = names.map((name) => valueOf('output', name, outputs).shape[0]);
  if (typeof batchIn === 'number' && batchIn > 0) return { max: batchIn, isFixed: true };
  if (!batchesOut.every(isFree)) return { max: 1, isFixed: false };
  return { max: input.batch === 'any' ? Infinity : input.batch, isFixed: false };
}

/** Throws ModelMismatchError if the output of a run is not one RGB picture for each frame, of the input's size times the scale. */
export function checkOutput(
  { output }: Pick<PictureModel, 'output'>,
  { count, width, height }: FrameSize & { readonly count: number },
  dims: readonly number[],
): void {
  const scale = (pixels: number): number => Math.round(pixels * output.scale);
  const expected = [count, scale(height), scale(width), 3];
  const isSame = dims.length === 4 && dims.every((size, axis) => size === expected[axis]);
  if (isSame) return;
  throw new ModelMismatchError(
    `For ${count === 1 ? 'a' : count} ${width}x${height} ${count === 1 ? 'frame' : 'frames'}, the output is ${dims.join('x')}, but model.json (scale ${output.scale}) requires ${expected.join('x')}.`,
  );
}

/** Frames are uint8, batch x height x width x 3. A fixed batch is one, or what the manifest says. */
function checkFrames(
  side: 'input' | 'output',
  name: string,
  values: readonly GraphValue[],
  manifestBatch: number | 'any',
): void {
  const { type, shape } = valueOf(side, name, values);
  if (type !== 'uint8') throw mismatch(side, name, 'uint8', type);
  if (shape.length === 0) return;
  const [batch, height, , channels] = shape;
  const fits =
    shape.length === 4 &&
    (isFree(batch) || batch === 1 || batch === manifestBatch) &&
    (isFree(channels) || channels === 3) &&
    // Height 3 means that the channels come first.
    height !== 3;
  if (!fits) throw mismatch(side, name, 'batch x height x width x 3', shape.join(' x '));
}

function checkNumbers({ tensors }: NumbersOutput, outputs: readonly GraphValue[]): void {
  for (const name of Object.values(tensors)) {
    const { type } = valueOf('output', name, outputs);
    if (type !== 'float32') throw mismatch('output', name, 'float32', type);
  }
}

/** The runtime checks the shapes: exporters often leave them out. */
function checkState(
  manifest: ModelManifest,
  { input, output, type }: StateTensor,
  inputs: readonly GraphValue[],
  outputs: readonly GraphValue[],
): void {
  const taken = valueOf('input', input, inputs);
  if (taken.type !== type) throw mismatch('input', input, type, taken.type);
  const returned = valueOf('output', output, outputs);
  if (returned.type !== type) throw mismatch('output', output, type, returned.type);
  // The engine gives the picture to the encoder, and its memory to a later frame.
  if ('name' in manifest.output && output === manifest.output.name)
    throw new ModelMismatchError(
      `The output "${output}" is the picture, so it cannot also be a state: add an output that is equal to it.`,
    );
}

/** Exporters often describe the output's size wrongly, so `checkOutput` checks it after a run. */
function checkInputSize({ name, size }: ModelManifest['input'], inputs: readonly GraphValue[]): void {
  const [, height, width] = valueOf('input', name, inputs).shape;
  const [wanted, text] =
    typeof size === 'object' && 'width' in size
      ? [size, `frames of ${size.width} x ${size.height}`]
      : [undefined, 'frames of any size'];
  if (!takesSide(width, wanted?.width) || !takesSide(height, wanted?.height))
    throw mismatch('input', name, text, `${String(width)} x ${String(height)} only`);
}

function takesSide(found: number | string | undefined, side: number | undefined): boolean {
  return found === undefined || isFree(found) || found === side;
}

/** A name, or the negative number that the runtime gives in place of one. */
function isFree(size: number | string | undefined): boolean {
  return typeof size !== 'number' || size < 0;
}

function valueOf(side: 'input' | 'output', name: string, values: readonly GraphValue[]): GraphValue {
  const found = values.find((value) => value.name === name);
  if (found !== undefined) return found;
  const names = values.map((value) => value.name).join(', ');
  throw new ModelMismatchError(
    `model.json declares the ${side} "${name}", but the ${side}s of the graph are: ${names || 'none'}.`,
  );
}

function mismatch(side: string, name: string, expected: string, found: string): ModelMismatchError {
  return new ModelMismatchError(`The ${side} "${name}" is ${found}, but model.json declares ${expected}.`);
}
