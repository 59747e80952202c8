/**
 * The main thread's side of the inference thread: a promise for each request. A thread that dies takes the engine with it;
 * the worker then starts another.
 */
import { Worker } from 'node:worker_threads';

import type {
  InferAnswer,
  InferRequest,
  InferenceAnswer,
  InferenceRequest,
  JudgeRequest,
  Judgement,
  LoadAnswer,
  LoadRequest,
} from './inference-protocol.ts';

export class Inference {
  readonly #thread: Worker;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #nextId = 0;

  constructor({ onDeath }: { readonly onDeath: (error: unknown) => void }) {
    this.#thread = new Worker(new URL('./inference-thread.ts', import.meta.url));
    this.#thread.on('message', (answer: InferenceAnswer) => {
      const waiting = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if (answer.ok) waiting?.resolve(answer.answer);
      else waiting?.reject(new Error(answer.message));
    });
    this.#thread.once('error', onDeath);
    this.#thread.once('exit', () => onDeath(new Error('the inference thread ended')));
  }

  /** Loads a model in place of the one before. */
  async load(request: Omit<LoadRequest, 'type'>): Promise<LoadAnswer> {
    return (await this.#ask({ type: 'load', ...request }, [])) as LoadAnswer;
  }

  /** Whose fault it is that a model did not load. */
  async judge(request: Omit<LoadRequest, 'type'>): Promise<Judgement> {
    return (await this.#ask({ type: 'judge', ...request }, [])) as Judgement;
  }

  /** Takes ownership of the pixels: they are transferred. */
  async infer(request: Omit<InferRequest, 'type'>): Promise<InferAnswer> {
    const answer = await this.#ask({ type: 'infer', ...request }, [
      request.input.pixels.buffer as ArrayBuffer,
    ]);
    return answer as InferAnswer;
  }

  #ask(request: LoadRequest | JudgeRequest | InferRequest, transfer: ArrayBuffer[]): Promise<unknown> {
    const waiting = Promise.withResolvers<unknown>();
    const id = this.#nextId;
    this.#nextId += 1;
    this.#waiting.set(id, waiting);
    const message: InferenceRequest = { id, ...request };
    this.#thread.postMessage(message, transfer);
    return waiting.promise;
  }
}
