/** What the engine's main thread and its inference thread say to each other. Pixels are transferred, never copied. */
export interface LoadRequest {
  readonly type: 'load';
  readonly modelPath: string;
  readonly executionProviders: readonly string[];
  readonly threads: number;
  readonly deviceId: number;
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

export type InferenceRequest = { readonly id: number } & (LoadRequest | InferRequest);
export type InferenceAnswer = { readonly id: number } & (
  | { readonly ok: true; readonly answer: InferAnswer | { readonly executionProvider: string } }
  | { readonly ok: false; readonly message: string }
);
