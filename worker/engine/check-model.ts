/**
 * Checks that a model's graph and its output match `model.json`. PURE.
 *
 * The file is the one that the job pinned by its hash, so a mismatch is the model's fault on every instance: the job fails at once
 * with the difference as its reason.
 */
import type { ModelManifest } from '../../shared/contract/model-manifest.ts';
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
  checkFrames('input', manifest.input.name, inputs);
  checkFrames('output', manifest.output.name, outputs);
  for (const [name, { values }] of Object.entries(manifest.parameters)) {
    const { type, shape } = valueOf('input', name, inputs);
    if (type !== 'float32') throw mismatch('input', name, 'float32', type);
    const [, length] = shape;
    if (typeof length === 'number' && length > 0 && length !== values.length)
      throw mismatch('input', name, `a row of ${values.length} weights`, `a row of ${length} weights`);
  }
  const declared = new Set([manifest.input.name, ...Object.keys(manifest.parameters)]);
  const extra = inputs.find(({ name }) => !declared.has(name));
  if (extra !== undefined)
    throw new ModelMismatchError(`The graph has an input "${extra.name}" that model.json does not declare.`);
}

/** How many frames the model takes in one run: one, unless the graph leaves the batch free; then what the manifest allows. */
export function framesPerRunMax({ input, output }: ModelManifest, { inputs, outputs }: ModelGraph): number {
  const [batchIn = 1] = valueOf('input', input.name, inputs).shape;
  const [batchOut] = valueOf('output', output.name, outputs).shape;
  if (!isFree(batchIn) || !isFree(batchOut)) return 1;
  return input.batch === 'any' ? Infinity : input.batch;
}

export function outputSizeOf({ output }: ModelManifest, { width, height }: FrameSize): FrameSize {
  return { width: Math.round(width * output.scale), height: Math.round(height * output.scale) };
}

/** Throws ModelMismatchError if the output of a run is not one RGB picture for each frame, of the input's size times the scale. */
export function checkOutput(
  manifest: ModelManifest,
  { count, width, height }: FrameSize & { readonly count: number },
  dims: readonly number[],
): void {
  const output = outputSizeOf(manifest, { width, height });
  const expected = [count, output.height, output.width, 3];
  const isSame = dims.length === 4 && dims.every((size, axis) => size === expected[axis]);
  if (isSame) return;
  throw new ModelMismatchError(
    `For ${count === 1 ? 'a' : count} ${width}x${height} ${count === 1 ? 'frame' : 'frames'}, the output is ${dims.join('x')}, but model.json (scale ${manifest.output.scale}) requires ${expected.join('x')}.`,
  );
}

/** Frames are uint8, batch x height x width x 3, of any size. */
function checkFrames(side: 'input' | 'output', name: string, values: readonly GraphValue[]): void {
  const { type, shape } = valueOf(side, name, values);
  if (type !== 'uint8') throw mismatch(side, name, 'uint8', type);
  if (shape.length === 0) return;
  const [batch, height, width, channels] = shape;
  const fits =
    shape.length === 4 &&
    (isFree(batch) || batch === 1) &&
    (isFree(channels) || channels === 3) &&
    // Height 3 means that the channels come first.
    height !== 3;
  if (!fits) throw mismatch(side, name, 'batch x height x width x 3', shape.join(' x '));
  // Exporters often describe the output's size wrongly, so `checkOutput` checks it after a run.
  if (side === 'input' && (!isFree(height) || !isFree(width)))
    throw mismatch(side, name, 'frames of any size', `${String(width)} x ${String(height)} only`);
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
