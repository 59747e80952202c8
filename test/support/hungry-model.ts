/**
 * A model that returns its frames unchanged, and runs out of memory if it gets more of them in one run than it bears. The runtime really
 * tries to allocate: more than the address space of any machine, so it always fails, at once, and takes no memory.
 */
import { FRAMES_IN, FRAMES_OUT, writeFrameModel } from './frame-model.ts';
import { onnxIntegers, onnxModel, onnxNode, toType } from './onnx-writer.ts';

/** BitwiseOr passes uint8 pixels through unchanged. */
const OPSET = 18;
/** In elements of 4 bytes. */
const MORE_THAN_MEMORY = 2 ** 50;

/** Writes the model to `<folder>/<name>/`; returns the path of its graph. */
export async function writeHungryModel(
  folder: string,
  { name = 'hungry', framesMax }: { readonly name?: string; readonly framesMax: number },
): Promise<string> {
  const lengths = Array.from({ length: framesMax + 2 }, (_, count) =>
    count <= framesMax ? 1 : MORE_THAN_MEMORY,
  );
  const graph = [
    FRAMES_IN,
    FRAMES_OUT,
    onnxNode(
      'Shape',
      ['frames'],
      ['count'],
      [
        { name: 'start', int: 0 },
        { name: 'end', int: 1 },
      ],
    ),
    onnxIntegers('too many', framesMax + 1),
    onnxNode('Min', ['count', 'too many'], ['counted']),
    onnxIntegers('lengths', lengths),
    onnxNode('Gather', ['lengths', 'counted'], ['length']),
    onnxNode('ConstantOfShape', ['length'], ['zeros']),
    onnxNode('ReduceSum', ['zeros'], ['sum'], [{ name: 'keepdims', int: 0 }]),
    onnxNode('Cast', ['sum'], ['zero'], [toType('uint8')]),
    onnxNode('BitwiseOr', ['frames', 'zero'], ['same']),
  ];
  return writeFrameModel(folder, name, onnxModel({ opset: OPSET, graph }));
}
