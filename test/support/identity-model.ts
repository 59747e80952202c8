/** The smallest model: it returns the frame unchanged. */
import { FRAMES_IN, FRAMES_OUT, writeFrameModel } from './frame-model.ts';
import { onnxModel, onnxNode } from './onnx-writer.ts';

/** Writes the model to `<folder>/identity/`, as `FRAMEFLEET_LOCAL_MODELS` expects it. */
export async function writeIdentityModel(folder: string): Promise<void> {
  const graph = [FRAMES_IN, FRAMES_OUT, onnxNode('Identity', ['frames'], ['same'])];
  await writeFrameModel(folder, 'identity', onnxModel({ opset: 17, graph }));
}
