/** Broken models as users supply them: each does not match its `model.json`, or cannot be loaded at all. */
import { FRAMES_IN, FRAMES_OUT, writeFrameModel } from './frame-model.ts';
import {
  type OnnxPart,
  onnxConstant,
  onnxExternal,
  onnxInput,
  onnxIntegers,
  onnxModel,
  onnxNode,
  onnxOutput,
  toType,
} from './onnx-writer.ts';

const PICTURES = ['batch', 'height', 'width', 3] as const;
const IDENTITY = onnxNode('Identity', ['frames'], ['same']);

function frames(type: 'uint8' | 'float16' | 'float32', dims: readonly (number | string)[]): OnnxPart[] {
  return [onnxInput({ name: 'frames', type, dims }), onnxOutput({ name: 'same', type, dims }), IDENTITY];
}

/** By name, with a part of the reason that the owner of the job sees. */
export const BROKEN_MODELS: Readonly<
  Record<string, { readonly opset?: number; readonly graph: readonly OnnxPart[]; readonly reason: RegExp }>
> = {
  half: {
    graph: frames('float16', PICTURES),
    reason: /input "frames" is float16, but model\.json declares uint8/,
  },
  float: {
    graph: frames('float32', [1, 3, 'height', 'width']),
    reason: /is float32, but model\.json declares uint8/,
  },
  fixed: {
    graph: frames('uint8', [1, 64, 64, 3]),
    reason: /is 64 x 64 only, but model\.json declares .* any size/,
  },
  names: {
    graph: [
      onnxInput({ name: 'input', type: 'uint8', dims: PICTURES }),
      onnxOutput({ name: 'same', type: 'uint8', dims: PICTURES }),
      onnxNode('Identity', ['input'], ['same']),
    ],
    reason: /declares the input "frames", but the inputs of the graph are: input/,
  },
  grey: {
    graph: [
      FRAMES_IN,
      onnxOutput({ name: 'same', type: 'uint8', dims: ['batch', 'height', 'width', 1] }),
      onnxIntegers('first', [0]),
      onnxIntegers('last', [1]),
      onnxIntegers('axis', [3]),
      onnxNode('Slice', ['frames', 'first', 'last', 'axis'], ['same']),
    ],
    reason: /output "same" is batch x height x width x 1/,
  },
  smaller: {
    graph: [
      FRAMES_IN,
      onnxOutput({ name: 'same', type: 'uint8', dims: ['batch', 'h2', 'w2', 3] }),
      onnxIntegers('first', [0, 0]),
      onnxIntegers('last', [8, 8]),
      onnxIntegers('axes', [1, 2]),
      onnxNode('Slice', ['frames', 'first', 'last', 'axes'], ['same']),
    ],
    reason: /For a 32x32 frame, the output is 1x8x8x3/,
  },
  future: { opset: 99, graph: [FRAMES_IN, FRAMES_OUT, IDENTITY], reason: /cannot be loaded: cpu: .*opset/i },
  external: {
    graph: [
      FRAMES_IN,
      FRAMES_OUT,
      onnxExternal('weight', [1], 'weights.data'),
      onnxNode('Cast', ['frames'], ['float'], [toType('float32')]),
      onnxNode('Mul', ['float', 'weight'], ['weighed']),
      onnxNode('Cast', ['weighed'], ['same'], [toType('uint8')]),
    ],
    reason: /cannot be loaded: cpu: .*(external|weights\.data)/i,
  },
};

/** Computes NaN internally but returns valid pixels, which cannot be told from a picture. */
const NAN_MODEL = [
  FRAMES_IN,
  FRAMES_OUT,
  onnxConstant('zero', [1], Float32Array.of(0)),
  onnxNode('Cast', ['frames'], ['float'], [toType('float32')]),
  onnxNode('Mul', ['float', 'zero'], ['nothing']),
  onnxNode('Div', ['nothing', 'zero'], ['nan']),
  onnxNode('Cast', ['nan'], ['same'], [toType('uint8')]),
];

export async function writeBrokenModels(folder: string): Promise<void> {
  for (const [name, { opset = 17, graph }] of Object.entries(BROKEN_MODELS))
    await writeFrameModel(folder, name, onnxModel({ opset, graph }));
  await writeFrameModel(folder, 'nan', onnxModel({ opset: 17, graph: NAN_MODEL }));
}
