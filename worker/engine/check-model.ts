/**
 * Whether a model's graph is what its `model.json` says, from the graph's own description and from what a run gives. PURE.
 *
 * The file is the one that the job pinned by its hash. A difference is therefore the model's fault on every machine: the job fails
 * at once, with the difference as its reason.
 */
import type { ModelManifest } from '../../shared/contract/model-manifest.ts';

/** An input or output as the graph describes it; a dimension that is free is a name. */
export interface GraphValue {
  readonly name: string;
  readonly type: string;
  /** Empty where the graph does not say. */
  readonly shape: readonly (number | string)[];
}

export interface Graph {
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
}

/** Thrown for a model that is not what its manifest says. The message is a sentence for the owner of the job. */
export class ModelMismatchError extends Error {}

/** Throws ModelMismatchError where the graph cannot take frames, or does not give frames, as the manifest says. */
export function checkGraph(manifest: ModelManifest, { inputs, outputs }: Graph): void {
  checkFrames('input', manifest.input.name, inputs);
  checkFrames('output', manifest.output.name, outputs);
  for (const [name, { values }] of Object.entries(manifest.parameters)) {
    const { type, shape } = valueOf('input', name, inputs);
    if (type !== 'float32') throw differs('input', name, 'float32', type);
    const [, length] = shape;
    if (typeof length === 'number' && length > 0 && length !== values.length)
      throw differs('input', name, `${values.length} choices`, String(length));
  }
  const known = new Set([manifest.input.name, ...Object.keys(manifest.parameters)]);
  const extra = inputs.find(({ name }) => !known.has(name));
  if (extra !== undefined)
    throw new ModelMismatchError(`The graph has an input ${extra.name}, which model.json does not describe.`);
}

/** Throws ModelMismatchError where a run's output is not one RGB picture of the input's size times the scale. */
export function checkOutput(
  { output }: ModelManifest,
  input: { readonly width: number; readonly height: number },
  dims: readonly number[],
): void {
  const expected = [1, Math.round(input.height * output.scale), Math.round(input.width * output.scale), 3];
  const isSame = dims.length === 4 && dims.every((size, axis) => size === expected[axis]);
  if (isSame) return;
  throw new ModelMismatchError(
    `For a frame of ${input.width}x${input.height} the output has the dimensions ${dims.join('x')}; by model.json (scale ${output.scale}) it has ${expected.join('x')}.`,
  );
}

/** Frames are uint8, batch x height x width x 3, of any size. */
function checkFrames(side: 'input' | 'output', name: string, values: readonly GraphValue[]): void {
  const { type, shape } = valueOf(side, name, values);
  if (type !== 'uint8') throw differs(side, name, 'uint8', type);
  if (shape.length === 0) return;
  const [batch, height, width, channels] = shape;
  const fits =
    shape.length === 4 &&
    (isFree(batch) || batch === 1) &&
    (isFree(channels) || channels === 3) &&
    // Channels first: no frame is 3 pixels high.
    height !== 3;
  if (!fits) throw differs(side, name, 'batch x height x width x 3', shape.join(' x '));
  // An output's size is what a run gives (`checkOutput`): exporters often describe it wrongly.
  if (side === 'input' && (!isFree(height) || !isFree(width)))
    throw differs(side, name, 'frames of any size', `${String(width)} x ${String(height)} only`);
}

/** A name, or what the runtime gives in place of one. */
function isFree(size: number | string | undefined): boolean {
  return typeof size !== 'number' || size < 0;
}

function valueOf(side: 'input' | 'output', name: string, values: readonly GraphValue[]): GraphValue {
  const found = values.find((value) => value.name === name);
  if (found !== undefined) return found;
  const names = values.map((value) => value.name).join(', ');
  throw new ModelMismatchError(`model.json names an ${side} ${name}; the graph has ${names || 'none'}.`);
}

function differs(side: string, name: string, expected: string, found: string): ModelMismatchError {
  return new ModelMismatchError(`The ${side} ${name} is ${found}; by model.json it is ${expected}.`);
}
