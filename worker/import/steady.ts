/**
 * Makes the video of a style model steady: where a frame does not differ from the one before, the scored picture stays as it was. PURE.
 *
 * A model that paints each frame for itself turns the noise of a still wall into strokes that flicker. The graph gets three tensors of state
 * (the frame before, its scored picture, and whether there was one) and blends, for each pixel,
 *
 *   scored = previous + k * (painted - previous)
 *
 * where k grows with the change of the frame at that pixel. At a scene cut, and at the first frame, k is 1 everywhere. A parameter of the
 * model, `steady`, turns it off.
 */
import { create } from '@bufbuild/protobuf';

import type { ModelManifest } from '../../shared/contract/model-manifest.ts';
import { GraphBuilder, int, picture, tensor } from './graph-builder.ts';
import { ELEMENT_TYPES, opsetOf, decodeModel, encodeModel } from './graph.ts';
import { ModelProtoSchema } from './onnx_pb.ts';

/** Changes of a pixel, from 0 to 255, mean of the three colours: up to the first it counts as still, from the second on as new. */
const STILL = 2;
const CHANGED = 10;
/** Of a still pixel. With 0, a pixel that was painted wrongly would stay so until it changes. */
const K_MIN = 0.15;
/** Mean change of all pixels from which on a frame begins a new scene. */
const SCENE_CUT = 30;
/** More let the picture settle further before a batch starts, and cost short jobs more. */
const CONTEXT_FRAMES = 4;
const PREFIX = 'steady/';
const PARAMETER = 'steady';

export interface SteadyModel {
  readonly bytes: Uint8Array;
  readonly changes: Pick<ModelManifest, 'output' | 'parameters' | 'state'>;
}

/** The model takes and returns pictures of the same size: uint8, 1 x height x width x 3. */
export function makeSteady(file: Uint8Array, manifest: ModelManifest): SteadyModel {
  const model = decodeModel(file);
  const { graph } = model;
  const opset = opsetOf(model);
  const { input, output } = manifest;
  if (graph === undefined || opset === undefined || 'kind' in output || output.scale !== 1)
    throw new RangeError('expected a model whose pictures have the size of its frames');
  const names = {
    frame: { input: `${PREFIX}previous frame`, output: `${PREFIX}frame` },
    picture: { input: `${PREFIX}previous picture`, output: `${PREFIX}picture` },
    started: { input: `${PREFIX}has started`, output: `${PREFIX}started` },
  };
  const builder = new GraphBuilder(opset, PREFIX);
  const number = (value: number): string => builder.constant('float32', [], [value]);
  const binary = (operator: string, one: string, other: string): string =>
    builder.node(operator, [one, other]);

  /** Before opset 8, Max takes operands of one shape only. */
  const max = (one: string, other: string): string =>
    binary('Add', one, builder.node('Relu', [binary('Sub', other, one)]));

  const frame = builder.cast(input.name, 'float32');
  const change = binary('Sub', frame, builder.cast(names.frame.input, 'float32'));
  const changes = builder.mean(builder.node('Abs', [change]), [3]);
  const rise = binary('Mul', binary('Sub', changes, number(STILL)), number(1 / (CHANGED - STILL)));
  const ofPixel = builder.clip(rise, K_MIN, 1);
  const ofScene = builder.clip(binary('Sub', builder.mean(changes, [1, 2]), number(SCENE_CUT)), 0, 1);
  const ofStart = binary('Sub', number(1), names.started.input);
  const k = max(max(ofPixel, ofScene), ofStart);
  // 1 - steady * (1 - k): the first weight of the parameter is that of `on`.
  const amount = builder.node('Gather', [PARAMETER, builder.constant('int64', [], [0])], [int('axis', 1)]);
  const blend = binary('Sub', number(1), binary('Mul', amount, binary('Sub', number(1), k)));

  const painted = builder.cast(output.name, 'float32');
  const previous = builder.cast(names.picture.input, 'float32');
  const step = binary('Mul', blend, binary('Sub', painted, previous));
  const steady = `${PREFIX}${output.name}`;
  builder.node(
    'Cast',
    [builder.round(binary('Add', previous, step))],
    [int('to', ELEMENT_TYPES.uint8)],
    steady,
  );
  builder.identity(steady, names.picture.output);
  builder.identity(input.name, names.frame.output);
  builder.identity(builder.constant('float32', [1], [1]), names.started.output);

  const shape = [1, 'height', 'width', 3];
  const wrapped = create(ModelProtoSchema, {
    ...model,
    graph: {
      ...graph,
      node: [...graph.node, ...builder.takeNodes()],
      initializer: [...graph.initializer, ...builder.constants],
      input: [
        ...graph.input,
        tensor(PARAMETER, 'float32', [1, 2]),
        picture(names.frame.input, shape),
        picture(names.picture.input, shape),
        tensor(names.started.input, 'float32', [1]),
      ],
      output: [
        picture(steady, shape),
        picture(names.frame.output, shape),
        picture(names.picture.output, shape),
        tensor(names.started.output, 'float32', [1]),
      ],
    },
  });
  const pixels = { type: 'uint8' as const, shape: [1, 'height' as const, 'width' as const, 3] };
  return {
    bytes: encodeModel(wrapped),
    changes: {
      output: { ...output, name: steady },
      parameters: {
        ...manifest.parameters,
        [PARAMETER]: {
          type: 'float32',
          values: [
            { id: 'on', title: 'Still pixels stay still' },
            { id: 'off', title: 'Each frame is painted for itself' },
          ],
        },
      },
      state: {
        tensors: [
          { ...names.frame, ...pixels },
          { ...names.picture, ...pixels },
          { ...names.started, type: 'float32', shape: [1] },
        ],
        contextFrames: CONTEXT_FRAMES,
      },
    },
  };
}
