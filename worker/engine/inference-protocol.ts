/** What the engine's main thread and its inference thread say to each other. Pixels are transferred, never copied. */
import type { Graph } from './check-model.ts';

export interface LoadRequest {
  readonly type: 'load';
  readonly modelPath: string;
  readonly executionProviders: readonly string[];
  readonly threads: number;
  readonly deviceId: number;
}

/**
 * Whose fault it is that a model did not load: is it taken by the CPU, which every machine has, and does the runtime of this
 * machine load a small model that is known to be good, on the providers that were asked for?
 */
export interface JudgeRequest extends Omit<LoadRequest, 'type'> {
  readonly type: 'judge';
}

export interface Judgement {
  /** Why the CPU does not take the model; null where it does. */
  readonly cpuRefusal: string | null;
  readonly isRuntimeSound: boolean;
}

export interface LoadAnswer {
  readonly executionProvider: string;
  readonly graph: Graph;
}

export interface InferRequest {
  readonly type: 'infer';
  readonly input: { readonly name: string; readonly pixels: Uint8Array; readonly dims: readonly number[] };
  /** Extra inputs of the graph: rows of weights, shape [1, length]. */
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly outputName: string;
}

export interface InferAnswer {
  readonly pixels: Uint8Array;
  /** [batch, height, width, channels]. */
  readonly dims: readonly number[];
  readonly seconds: number;
}

export type InferenceRequest = { readonly id: number } & (LoadRequest | JudgeRequest | InferRequest);
export type InferenceAnswer = { readonly id: number } & (
  | { readonly ok: true; readonly answer: InferAnswer | LoadAnswer | Judgement }
  | { readonly ok: false; readonly message: string }
);
