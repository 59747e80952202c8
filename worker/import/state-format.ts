/** The state that a model takes with one frame and has returned with the one before: which tensors it is, and how large. PURE. */
import type { ModelManifest, StateTensor } from '../../shared/contract/model-manifest.ts';
import type { GraphValue } from '../engine/check-model.ts';
import { FormatError, type Layout } from './picture-shape.ts';

/** What the owner says. */
export interface StateAnswers {
  /** The output that each input takes from the frame before. */
  readonly states?: ReadonlyMap<string, string>;
  /** How many frames before a batch the model sees first. */
  readonly contextFrames?: number;
}

type State = NonNullable<ModelManifest['state']>;

/** A model forgets most of what it saw longer ago, and each of these frames is scored twice. */
const CONTEXT_FRAMES = 4;
const TYPES = new Set<string>(['uint8', 'float16', 'float32']);

interface StatefulGraph {
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
  /** The input that takes the frame. */
  readonly picture: GraphValue;
  readonly layout: Layout;
}

/** Undefined for a model without a state. Throws FormatError. */
export function stateFormat(
  graph: StatefulGraph,
  { states, contextFrames }: StateAnswers,
): State | undefined {
  if (states === undefined || states.size === 0) return undefined;
  const [batch] = graph.picture.shape;
  if (graph.picture.shape.length === 4 && typeof batch === 'number' && batch > 1)
    throw new FormatError(
      `The model takes ${batch} frames in one run, and a model with a state takes them one by one.`,
      'Export the model with a batch of one.',
    );
  return {
    tensors: [...states].map(([input, output]) => stateTensor(graph, input, output)),
    contextFrames: contextFrames ?? CONTEXT_FRAMES,
  };
}

function stateTensor(graph: StatefulGraph, input: string, output: string): StateTensor {
  const taken = named('input', input, graph.inputs);
  const returned = named('output', output, graph.outputs);
  if (input === graph.picture.name)
    throw new FormatError(`The input "${input}" takes the picture.`, 'Correct `--state` or `--input`.');
  if (taken.type !== returned.type)
    throw new FormatError(
      `The input "${input}" is ${taken.type}, but the output "${output}" is ${returned.type}.`,
      'Correct `--state`, or export the model with the same type for both.',
    );
  const { type } = taken;
  if (!isStateType(type))
    throw new FormatError(
      `The state "${input}" is ${type}.`,
      'Only a state of float32, float16 or uint8 is supported.',
    );
  return { input, output, type, shape: taken.shape.map((side, axis) => sideOf(taken, side, axis, graph)) };
}

function named(side: 'input' | 'output', name: string, values: readonly GraphValue[]): GraphValue {
  const found = values.find((value) => value.name === name);
  if (found !== undefined) return found;
  throw new FormatError(
    `The model has no ${side} "${name}".`,
    `Its ${side}s are ${values.map((value) => `"${value.name}"`).join(', ')}.`,
  );
}

/** A free side is that of the frame if it has the same name, or no name and the same place. The free batch is one. */
function sideOf(
  { name, shape }: GraphValue,
  side: number | string,
  axis: number,
  { picture, layout }: StatefulGraph,
): StateTensor['shape'][number] {
  if (typeof side === 'number' && side > 0) return side;
  const hasBatch = picture.shape.length === 4;
  const first = (layout === 'NCHW' ? 1 : 0) + (hasBatch ? 1 : 0);
  const matches = (pictureAxis: number): boolean =>
    isNamed(side)
      ? side === picture.shape[pictureAxis]
      : axis === pictureAxis && shape.length === picture.shape.length;
  if (matches(first)) return 'height';
  if (matches(first + 1)) return 'width';
  if (hasBatch && matches(0)) return 1;
  throw new FormatError(
    `The state "${name}" is ${shape.join(' x ')}; its side ${axis} is neither fixed nor that of the frame.`,
    'Export the model with a fixed size, or give the free sides of frame and state the same names.',
  );
}

function isNamed(side: number | string): boolean {
  return typeof side === 'string' && side !== '';
}

function isStateType(type: string): type is StateTensor['type'] {
  return TYPES.has(type);
}
