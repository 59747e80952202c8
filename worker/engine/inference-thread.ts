/**
 * The thread that owns the ONNX session. `session.run` blocks the thread that calls it: here that is nobody's loss. Requests
 * wait in the thread's message queue, so the device goes from one to the next without asking the main thread.
 *
 * It must never be terminated inside a run (that aborts the process): to stop it, end the engine.
 */
import { parentPort } from 'node:worker_threads';

import { InferenceSession, Tensor } from 'onnxruntime-node';

import type { GraphValue } from './check-model.ts';
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
import { PROBE_MODEL } from './probe-model.ts';
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
      answer({ id: request.id, ok: true, answer: await load(request) });
    } else if (request.type === 'judge') {
      answer({ id: request.id, ok: true, answer: await judge(request) });
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

/** On the first provider in the list that takes the model. */
async function load(request: LoadRequest): Promise<LoadAnswer> {
  const { executionProviders } = request;
  await session?.release();
  session = undefined;
  const refusals: string[] = [];
  for (const name of executionProviders) {
    try {
      session = await InferenceSession.create(request.modelPath, optionsFor(name, request));
      const { inputMetadata, outputMetadata } = session;
      const graph = { inputs: inputMetadata.map(graphValue), outputs: outputMetadata.map(graphValue) };
      return { executionProvider: name, graph };
    } catch (error) {
      refusals.push(`${name}: ${reasonOf(error)}`);
    }
  }
  throw new Error(refusals.join('; '));
}

async function judge(request: JudgeRequest): Promise<Judgement> {
  return {
    cpuRefusal: await refusalOn('cpu', request.modelPath, request),
    isRuntimeSound:
      (await refusalOn(request.executionProviders[0] ?? 'cpu', PROBE_MODEL, request)) === null &&
      (await refusalOn('cpu', PROBE_MODEL, request)) === null,
  };
}

/** Why a provider does not take a model; null where it does. */
async function refusalOn(
  provider: string,
  model: string | Uint8Array,
  request: JudgeRequest,
): Promise<string | null> {
  try {
    const options = optionsFor(provider, request);
    const loaded =
      typeof model === 'string'
        ? await InferenceSession.create(model, options)
        : await InferenceSession.create(model, options);
    await loaded.release();
    return null;
  } catch (error) {
    return reasonOf(error);
  }
}

function optionsFor(
  provider: string,
  { threads, deviceId }: Pick<LoadRequest, 'threads' | 'deviceId'>,
): InferenceSession.SessionOptions {
  return {
    executionProviders: [providerOption(provider, deviceId)],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    // Waiting threads sleep instead of spinning: the other stages need the cores.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
    logSeverityLevel: 3,
  };
}

function graphValue(value: InferenceSession.ValueMetadata): GraphValue {
  return value.isTensor
    ? { name: value.name, type: value.type, shape: value.shape }
    : { name: value.name, type: 'no tensor', shape: [] };
}

/** Without the path of our copy, which says nothing to the owner of the model. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/^Load model from .*? failed:\s*/s, '');
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
