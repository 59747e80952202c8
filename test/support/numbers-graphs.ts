/** Graphs that return numbers. */
import { onnxConstant, onnxInput, onnxNode, onnxOutput } from './onnx-writer.ts';

const FRAMES = { name: 'x', type: 'float32', dims: ['n', 3, 'h', 'w'] } as const;
const ONE_FRAME = { ...FRAMES, dims: [1, 3, 'h', 'w'] } as const;
/** The mean of each channel. */
export const MEANS = [
  onnxInput(FRAMES),
  onnxOutput({ name: 'means', type: 'float32', dims: ['n', 3] }),
  onnxNode(
    'ReduceMean',
    ['x'],
    ['means'],
    [
      { name: 'axes', ints: [2, 3] },
      { name: 'keepdims', int: 0 },
    ],
  ),
];
/** Two boxes, and no dimension for the frame: as many as a detector finds. */
export const FOUND_BOXES = [
  onnxInput(ONE_FRAME),
  onnxOutput({ name: 'boxes', type: 'float32', dims: ['found', 4] }),
  onnxOutput({ name: 'classes', type: 'int64', dims: ['found'] }),
  onnxNode('ReduceMean', ['x'], ['mean'], [{ name: 'keepdims', int: 0 }]),
  onnxConstant('corners', [2, 4], Float32Array.of(0, 0, 1, 1, 0.25, 0.25, 0.5, 0.5)),
  onnxConstant('none', [1], Float32Array.of(0)),
  onnxNode('Mul', ['mean', 'none'], ['zero']),
  onnxNode('Add', ['corners', 'zero'], ['boxes']),
  onnxConstant('found classes', [2], BigInt64Array.of(3n, 7n)),
  onnxNode('Identity', ['found classes'], ['classes']),
];
