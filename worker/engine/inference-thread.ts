/**
 * The thread that owns the ONNX session. `session.run` blocks the thread that calls it, so it has a thread of its own. Requests
 * wait in the thread's message queue, so the device goes from one to the next without a round trip to the main thread.
 *
 * Never terminate the thread during a run, which aborts the process. To stop it, end the engine.
 */
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { parentPort } from 'node:worker_threads';

import { InferenceSession, Tensor, env } from 'onnxruntime-node';

import type { GraphValue } from './check-model.ts';
import { type EngineFolder, openEngineFolder } from './engine-cache.ts';
import type {
  DiagnoseRequest,
  InferAnswer,
  InferRequest,
  InferenceAnswer,
  InferenceRequest,
  LoadAnswer,
  LoadDiagnosis,
  LoadRequest,
  WantedOutput,
  OutputValue,
  StateOfModel,
} from './inference-client.ts';
import { precisionOn } from './precision.ts';
import { PROBE_MODEL } from './probe-model.ts';
import { engineCacheEntries, providerOption } from './provider-option.ts';
import { isShortOfMemory } from './refusal.ts';

if (parentPort === null) throw new TypeError('expected to run as a worker thread');
const port = parentPort;
let session: InferenceSession | undefined;
/** What to load if the first run in float16 fails; undefined once a run has succeeded. */
let untried: { readonly request: LoadRequest; readonly executionProvider: string } | undefined;
/** What the model returned with the last frame, by the input that takes it. */
const state = new Map<string, Tensor>();

/** Requests are served strictly in order. */
let last: Promise<void> = Promise.resolve();
port.on('message', (request: InferenceRequest) => {
  last = last.then(() => serve(request));
});

async function serve(request: InferenceRequest): Promise<void> {
  try {
    if (request.type === 'load') {
      answer({ id: request.id, ok: true, answer: await load(request) });
    } else if (request.type === 'diagnose') {
      answer({ id: request.id, ok: true, answer: await diagnose(request) });
    } else {
      const scored = await infer(request);
      const buffers = scored.outputs.map(({ data }) => data?.buffer);
      answer(
        { id: request.id, ok: true, answer: scored },
        buffers.filter((buffer) => buffer instanceof ArrayBuffer),
      );
    }
  } catch (error) {
    answer({ id: request.id, ok: false, message: error instanceof Error ? error.message : String(error) });
  }
}

function answer(message: InferenceAnswer, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}

/** Loads the model on the first provider in the list that accepts it: the file for its precision, or else that of float32. */
async function load(request: LoadRequest): Promise<LoadAnswer> {
  const { executionProviders, half } = request;
  await session?.release();
  session = undefined;
  untried = undefined;
  const refusals: string[] = [];
  for (const executionProvider of executionProviders) {
    let halfRefusal: string | null = null;
    if (half !== undefined && precisionOn(executionProvider, half.setting) === 'float16') {
      try {
        const opened = await open(half.path, executionProvider, request);
        untried = { request, executionProvider };
        return { ...opened, precision: 'float16', halfRefusal };
      } catch (error) {
        halfRefusal = reasonOf(error);
      }
    }
    try {
      const opened = await open(request.modelPath, executionProvider, request);
      return { ...opened, precision: 'float32', halfRefusal };
    } catch (error) {
      refusals.push(`${executionProvider}: ${reasonOf(error)}`);
    }
  }
  throw new Error(refusals.join('; '));
}

type Opened = Pick<LoadAnswer, 'executionProvider' | 'graph' | 'cachedEngines'>;

async function open(file: string, executionProvider: string, request: LoadRequest): Promise<Opened> {
  const folder = await engineFolderOf(file, executionProvider, request);
  const options = optionsFor(executionProvider, request, folder?.path);
  session = await InferenceSession.create(file, options).catch(async (error: unknown) => {
    if (folder === undefined || folder.engines === 0) throw error;
    // Engines of another version of TensorRT do not load.
    await rm(folder.path, { recursive: true });
    await mkdir(folder.path);
    return InferenceSession.create(file, options);
  });
  const { inputMetadata, outputMetadata } = session;
  const graph = { inputs: inputMetadata.map(graphValue), outputs: outputMetadata.map(graphValue) };
  return { executionProvider, graph, cachedEngines: folder?.engines ?? null };
}

async function engineFolderOf(
  file: string,
  executionProvider: string,
  { engineCache }: LoadRequest,
): Promise<EngineFolder | undefined> {
  if (executionProvider !== 'tensorrt' || engineCache === undefined) return undefined;
  // A cached model is named by its hash.
  const modelSha256 = path.basename(file, '.onnx');
  const runtimeVersion = env.versions.node ?? env.versions.common;
  return openEngineFolder(engineCache.folder, { modelSha256, runtimeVersion, device: engineCache.device });
}

async function diagnose(request: DiagnoseRequest): Promise<LoadDiagnosis> {
  return {
    cpuRefusal: await refusalOn('cpu', request.modelPath, request),
    isRuntimeSound:
      (await refusalOn(request.executionProviders[0] ?? 'cpu', PROBE_MODEL, request)) === null &&
      (await refusalOn('cpu', PROBE_MODEL, request)) === null,
  };
}

/** Why a provider does not load a model; null if it does. */
async function refusalOn(
  provider: string,
  model: string | Uint8Array,
  request: DiagnoseRequest,
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
  engineFolder?: string,
): InferenceSession.SessionOptions {
  return {
    executionProviders: [providerOption(provider, deviceId)],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    // Waiting threads sleep instead of spinning: the other stages need the cores.
    extra: {
      session: { intra_op: { allow_spinning: '0' } },
      ...(engineFolder !== undefined && engineCacheEntries(engineFolder, deviceId)),
    },
    logSeverityLevel: 3,
  };
}

function graphValue(value: InferenceSession.ValueMetadata): GraphValue {
  return value.isTensor
    ? { name: value.name, type: value.type, shape: value.shape }
    : { name: value.name, type: 'not a tensor', shape: [] };
}

/** Without the path of the cached copy, which means nothing to the owner of the model. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/^Load model from .*? failed:\s*/s, '');
}

/** If the first run in float16 fails, the frames run again in float32, and so do all others. */
async function infer(request: InferRequest): Promise<InferAnswer> {
  try {
    const scored = await runSession(request);
    untried = undefined;
    return scored;
  } catch (error) {
    if (untried === undefined || isShortOfMemory(reasonOf(error))) throw error;
    const before = untried;
    const { half: _half, ...single } = before.request;
    await load({ ...single, executionProviders: [before.executionProvider] }).catch((cause: unknown) => {
      // The next run tries again.
      untried = before;
      throw cause;
    });
    const notice: InferenceAnswer = { halfRefusal: reasonOf(error) };
    port.postMessage(notice);
    return runSession(request);
  }
}

async function runSession(request: InferRequest): Promise<InferAnswer> {
  if (session === undefined) throw new Error('no model is loaded');
  const { input, weights } = request;
  const { tensors, isStart } = request.state ?? { tensors: [], isStart: true };
  if (isStart) state.clear();
  const feeds: Record<string, Tensor> = { [input.name]: new Tensor('uint8', input.pixels, input.dims) };
  for (const [name, row] of weights) feeds[name] = new Tensor('float32', row, [1, row.length]);
  for (const tensor of tensors) feeds[tensor.input] = state.get(tensor.input) ?? zerosOf(tensor);
  const startedAt = performance.now();
  const fetches: Record<string, Tensor | null> = {};
  for (const { name, into } of request.outputs)
    fetches[name] = into === undefined ? null : new Tensor('uint8', into.pixels, into.dims);
  for (const tensor of tensors) fetches[tensor.output] = null;
  const outputs = await session.run(feeds, fetches);
  const seconds = (performance.now() - startedAt) / 1000;
  // A frame that fails leaves the state as it was.
  for (const tensor of tensors) {
    const next = outputs[tensor.output];
    if (next !== undefined) state.set(tensor.input, next);
  }
  return { outputs: request.outputs.map((wanted) => valueOf(wanted, outputs[wanted.name])), seconds };
}

function valueOf({ name, into }: WantedOutput, output: Tensor | undefined): OutputValue {
  if (into !== undefined) return { name, data: undefined, dims: into.dims };
  const data = output?.data;
  if (output === undefined || !(data instanceof Uint8Array || data instanceof Float32Array))
    throw new TypeError(`expected pixels or numbers in the output ${name}`);
  return { name, data, dims: output.dims };
}

function zerosOf({ type, dims }: StateOfModel): Tensor {
  const length = dims.reduce((product, side) => product * side, 1);
  switch (type) {
    case 'uint8':
      return new Tensor('uint8', new Uint8Array(length), dims);
    case 'float16':
      return new Tensor('float16', new Uint16Array(length), dims);
    case 'float32':
      return new Tensor('float32', new Float32Array(length), dims);
  }
}
