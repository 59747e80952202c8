/**
 * Which of a model's two files runs on an execution provider. PURE.
 *
 * NVIDIA's GPUs have units that multiply matrices of float16. On the CPU, ONNX Runtime computes float16 in float32, and casts back and forth.
 */
import type { PRECISIONS } from '../config.ts';

export type PrecisionSetting = (typeof PRECISIONS)[number];
export type Precision = Exclude<PrecisionSetting, 'auto'>;

const HALF_PROVIDERS: ReadonlySet<string> = new Set(['tensorrt', 'cuda']);

/** Whether the model's file of float16 may be needed. */
export function wantsHalf(setting: PrecisionSetting, executionProviders: readonly string[]): boolean {
  return executionProviders.some((provider) => precisionOn(provider, setting) === 'float16');
}

export function precisionOn(executionProvider: string, setting: PrecisionSetting): Precision {
  if (setting !== 'auto') return setting;
  return HALF_PROVIDERS.has(executionProvider) ? 'float16' : 'float32';
}
