/** The smallest model there is: it gives back the frame it takes. */
import { FRAMES_IN, FRAMES_OUT, writeFrameModel } from './frame-model.ts';
import { onnxModel, onnxNode } from './onnx-writer.ts';

/** Puts the model into `<folder>/identity/`, as `FRAMEFLEET_LOCAL_MODELS` takes it. */
export async function writeIdentityModel(folder: string): Promise<void> {
  const graph = [FRAMES_IN, FRAMES_OUT, onnxNode('Identity', ['frames'], ['same'])];
  await writeFrameModel({ folder, name: 'identity', model: onnxModel({ opset: 17, graph }) });
}
