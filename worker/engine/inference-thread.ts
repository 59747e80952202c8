/**
 * The thread that owns the ONNX session. `session.run` blocks the thread that calls it: here that is nobody's loss. Requests
 * wait in the thread's message queue, so the device goes from one to the next without asking the main thread.
 *
 * It must never be terminated inside a run (that aborts the process): to stop it, end the engine.
 */
import { parentPort } from 'node:worker_threads';

import { InferenceSession, Tensor } from 'onnxruntime-node';

import type {
  InferAnswer,
  InferRequest,
  InferenceAnswer,
  InferenceRequest,
  LoadRequest,
} from './inference-protocol.ts';
import { providerOption } from './provider-option.ts';

if (parentPort === null) throw new TypeError('expected to run as a worker thread');
const port = parentPort;
let session: InferenceSession | undefined;

/** Requests are served strictly one after the other. */
let last: Promise<void> = Promise.resolve();
port.on('message', (request: InferenceRequest) => {
  last = last.then(() => serve(request));
});

async function serve(request: InferenceRequest): Promise<void> {
  try {
    if (request.type === 'load') {
      answer({ id: request.id, ok: true, answer: { executionProvider: await load(request) } });
    } else {
      const scored = await infer(request);
      answer({ id: request.id, ok: true, answer: scored }, [scored.pixels.buffer as ArrayBuffer]);
    }
  } catch (error) {
    answer({ id: request.id, ok: false, message: error instanceof Error ? error.message : String(error) });
  }
}

function answer(message: InferenceAnswer, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}

/** The first provider in the list that takes the model; returns its name. */
async function load({ modelPath, executionProviders, threads, deviceId }: LoadRequest): Promise<string> {
  await session?.release();
  session = undefined;
  const refusals: string[] = [];
  for (const name of executionProviders) {
    try {
      session = await InferenceSession.create(modelPath, {
        executionProviders: [providerOption(name, deviceId)],
        intraOpNumThreads: threads,
        interOpNumThreads: 1,
        graphOptimizationLevel: 'all',
        // Waiting threads sleep instead of spinning: the other stages need the cores.
        extra: { session: { intra_op: { allow_spinning: '0' } } },
        logSeverityLevel: 3,
      });
      return name;
    } catch (error) {
      refusals.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(`no execution provider takes the model (${refusals.join('; ')})`);
}

async function infer({ input, weights, outputName }: InferRequest): Promise<InferAnswer> {
  if (session === undefined) throw new Error('no model is loaded');
  const feeds: Record<string, Tensor> = { [input.name]: new Tensor('uint8', input.pixels, input.dims) };
  for (const [name, row] of weights) feeds[name] = new Tensor('float32', row, [1, row.length]);
  const startedAt = performance.now();
  const outputs = await session.run(feeds, [outputName]);
  const seconds = (performance.now() - startedAt) / 1000;
  const output = outputs[outputName];
  if (output === undefined || !(output.data instanceof Uint8Array)) {
    throw new TypeError(`expected the model to give uint8 pixels as ${outputName}`);
  }
  return { pixels: output.data, dims: output.dims, seconds };
}
