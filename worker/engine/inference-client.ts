/**
 * The main thread's side of the inference thread: a promise for each request, and the messages between the two. Pixels are
 * transferred, never copied. If the thread dies, the engine ends and the worker starts another.
 */
import { Worker } from 'node:worker_threads';

import type { ModelManifest, StateTensor } from '../../shared/contract/model-manifest.ts';
import type { FrameSize } from '../../shared/contract/segment.ts';
import type { ModelGraph } from './check-model.ts';
import type { Precision, PrecisionSetting } from './precision.ts';

export interface LoadRequest {
  readonly type: 'load';
  readonly modelPath: string;
  /** The file with float16 arithmetic, and when to use it. */
  readonly half?: { readonly path: string; readonly setting: PrecisionSetting };
  readonly executionProviders: readonly string[];
  readonly threads: number;
  readonly deviceId: number;
  /** Where TensorRT's engines are kept, and the name of the device. */
  readonly engineCache?: { readonly folder: string; readonly device: string };
}

export interface LoadAnswer {
  readonly executionProvider: string;
  readonly precision: Precision;
  /** Why float16 was not used; null if it was, or was not wanted. */
  readonly halfRefusal: string | null;
  /** How many engines of TensorRT were found on disk; null with another provider. */
  readonly cachedEngines: number | null;
  readonly graph: ModelGraph;
}

/** Finds out whether the model or this instance is at fault, after a load has failed. */
export interface DiagnoseRequest extends Omit<LoadRequest, 'type'> {
  readonly type: 'diagnose';
}

export interface LoadDiagnosis {
  /** Why the CPU, which every instance has, does not load the model; null if it does. */
  readonly cpuRefusal: string | null;
  /** Whether the runtime loads a small model that is known to be good, on the first requested provider and on the CPU. */
  readonly isRuntimeSound: boolean;
}

/** A tensor that the model returns with one frame, and takes with the next one. */
export interface StateOfModel extends Pick<StateTensor, 'input' | 'output' | 'type'> {
  readonly dims: readonly number[];
}

/** Of a model that keeps a state, for frames of this size. */
export function stateOf(
  { state }: Pick<ModelManifest, 'state'>,
  { width, height }: FrameSize,
): readonly StateOfModel[] | undefined {
  return state?.tensors.map(({ input, output, type, shape }) => ({
    input,
    output,
    type,
    dims: shape.map((side) => (side === 'height' ? height : side === 'width' ? width : side)),
  }));
}

/** One frame or several: their pixels lie one after the other, and their number is the first dimension. */
export interface InferRequest {
  readonly type: 'infer';
  readonly input: { readonly name: string; readonly pixels: Uint8Array; readonly dims: readonly number[] };
  /** Extra inputs of the graph: rows of weights, shape [1, length]. */
  readonly weights: ReadonlyMap<string, Float32Array>;
  /** Of a model that keeps one: its tensors, which start with zeros. */
  readonly state?: { readonly tensors: readonly StateOfModel[]; readonly isStart: boolean };
  readonly outputs: readonly WantedOutput[];
}

export interface WantedOutput {
  readonly name: string;
  /** Where to write pixels whose number is known: memory that both threads share. Otherwise the answer has the data. */
  readonly into?: { readonly pixels: Uint8Array<SharedArrayBuffer>; readonly dims: readonly number[] };
}

export interface OutputValue {
  readonly name: string;
  /** Pixels or numbers. Undefined if they were written where the request says. */
  readonly data: Uint8Array | Float32Array | undefined;
  /** The first one is the number of frames. */
  readonly dims: readonly number[];
}

export interface InferAnswer {
  /** In the order of the request. */
  readonly outputs: readonly OutputValue[];
  readonly seconds: number;
}

type ThreadRequest = LoadRequest | DiagnoseRequest | InferRequest;
export type InferenceRequest = { readonly id: number } & ThreadRequest;
export type InferenceAnswer =
  | InferenceReply
  /** The first run in float16 failed: float32 is loaded from now on. */
  | { readonly halfRefusal: string };
type InferenceReply = { readonly id: number } & (
  | { readonly ok: true; readonly answer: InferAnswer | LoadAnswer | LoadDiagnosis }
  | { readonly ok: false; readonly message: string }
);

export class Inference {
  readonly #thread: Worker;
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>();
  #nextId = 0;

  constructor({
    onDeath,
    onHalfRefused,
  }: {
    readonly onDeath: (error: unknown) => void;
    readonly onHalfRefused?: (reason: string) => void;
  }) {
    this.#thread = new Worker(new URL('./inference-thread.ts', import.meta.url));
    this.#thread.on('message', (answer: InferenceAnswer) => {
      if ('halfRefusal' in answer) {
        onHalfRefused?.(answer.halfRefusal);
        return;
      }
      const pending = this.#pending.get(answer.id);
      this.#pending.delete(answer.id);
      if (answer.ok) pending?.resolve(answer.answer);
      else pending?.reject(new Error(answer.message));
    });
    this.#thread.once('error', onDeath);
    this.#thread.once('exit', () => onDeath(new Error('the inference thread ended')));
  }

  /** Loads a model in place of the previous one. */
  async load(request: Omit<LoadRequest, 'type'>): Promise<LoadAnswer> {
    return (await this.#send({ type: 'load', ...request }, [])) as LoadAnswer;
  }

  /** Call it after a load has failed. */
  async diagnose(request: Omit<LoadRequest, 'type'>): Promise<LoadDiagnosis> {
    return (await this.#send({ type: 'diagnose', ...request }, [])) as LoadDiagnosis;
  }

  /** Takes ownership of pixels that are not shared: they are transferred. */
  async infer(request: Omit<InferRequest, 'type'>): Promise<InferAnswer> {
    const { buffer } = request.input.pixels;
    const answer = await this.#send(
      { type: 'infer', ...request },
      buffer instanceof ArrayBuffer ? [buffer] : [],
    );
    return answer as InferAnswer;
  }

  #send(request: ThreadRequest, transfer: ArrayBuffer[]): Promise<unknown> {
    const pending = Promise.withResolvers<unknown>();
    const id = this.#nextId;
    this.#nextId += 1;
    this.#pending.set(id, pending);
    const message: InferenceRequest = { id, ...request };
    this.#thread.postMessage(message, transfer);
    return pending.promise;
  }
}
