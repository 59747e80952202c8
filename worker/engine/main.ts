/**
 * The engine: a child process of the worker that runs segments. The worker holds the lease, so a native crash or the memory
 * killer can take the engine without losing the lease.
 */
import { openBlobStore } from '../../shared/azure/blob-store.ts';
import { PATIENT, storageAccount } from '../../shared/azure/credentials.ts';
import { parameterWeights } from '../../shared/contract/model-manifest.ts';
import { describeError } from '../../shared/runtime/errors.ts';
import { workerConfig } from '../config.ts';
import { type FramesPerRun, ModelMismatchError, checkGraph, framesPerRunOf } from './check-model.ts';
import { deviceName, freeDeviceBytes } from './device-memory.ts';
import { fitOf } from './fit.ts';
import { Inference, type LoadAnswer, type LoadRequest } from './inference-client.ts';
import { MicroBatchSize, microBatchFrames } from './micro-batch-size.ts';
import { type LocalModel, fetchModel } from './model.ts';
import { wantsHalf } from './precision.ts';
import type { EngineQuestion, FromEngine, RunRefusal, RunReport, RunRequest, ToEngine } from './protocol.ts';
import { ModelNotLoadedError, isModelAtFault, runRefusalOf } from './refusal.ts';
import { runImages } from './run-images.ts';
import { runSegments } from './run-segments.ts';
import { tilingOf } from './tiles.ts';

/** Faulty models to remember. */
const FAULTY_MODELS_MAX = 100;
/** Besides the time that a frame may take: the decoder is a process that has to start. */
const DECODER_START_MS = 15_000;

const config = workerConfig();
const cacheFolder = config.modelCacheFolder;
const blobs = await openBlobStore(
  { media: storageAccount(config.mediaStorage), system: storageAccount(config.systemStorage) },
  PATIENT,
);
const inference = new Inference({
  onDeath: (error) => {
    process.stderr.write(`the inference thread died: ${describeError(error)}\n`);
    process.exit(1);
  },
  onHalfRefused: (reason) => {
    if (loaded === undefined) return;
    loaded = { ...loaded, answer: { ...loaded.answer, precision: 'float32' } };
    send({ run: loaded.run, type: 'float16 refused', modelSha256: loaded.sha256, reason });
  },
});
interface LoadedModel {
  /** See `keyOf`. */
  readonly key: string;
  readonly sha256: string;
  /** The run that loaded it. */
  readonly run: number;
  readonly model: LocalModel;
  readonly answer: LoadAnswer;
  readonly framesPerRun: FramesPerRun;
  /** Null if it is not known. */
  readonly deviceFreeBytes: number | null;
}
let loaded: LoadedModel | undefined;
/** Models known to be at fault, by their keys, with the reason: their other batches are refused without a load. */
const faultyModels = new Map<string, RunRefusal>();
/** Stops the runs in progress. */
const running = new Map<number, { readonly stop: AbortController; readonly discard: AbortController }>();
/** Resolves when the last run has scored its frames. */
let scored: Promise<void> = Promise.resolve();
/** Questions that the worker has not answered. */
const questions = new Map<number, (isYes: boolean) => void>();
let nextQuestion = 0;

process.on('disconnect', () => process.exit(0));
// Ctrl-C in a terminal reaches the whole process group, but the worker decides when the engine ends.
process.on('SIGINT', () => undefined);
process.on('message', (message: ToEngine) => {
  if (message.type === 'run') {
    void run(message.run, message.request);
  } else if (message.type === 'answer') {
    questions.get(message.id)?.(message.isYes);
    questions.delete(message.id);
  } else {
    running.get(message.run)?.stop.abort();
    if (message.discard) running.get(message.run)?.discard.abort();
  }
});

async function ask(of: number, question: EngineQuestion): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  questions.set(nextQuestion, resolve);
  send({ run: of, type: 'ask', id: nextQuestion, question });
  nextQuestion += 1;
  return promise;
}

async function run(number: number, request: RunRequest): Promise<void> {
  const stop = new AbortController();
  const discard = new AbortController();
  running.set(number, { stop, discard });
  const report = (message: RunReport): void => send({ run: number, ...message });
  const turn = scored;
  const { promise, resolve: onScored } = Promise.withResolvers<void>();
  scored = promise;
  const end = (refusal: RunRefusal | null): void => {
    running.delete(number);
    onScored();
    report({ type: 'ended', refusal });
  };
  const known = faultyModels.get(keyOf(request.model));
  if (known !== undefined) {
    end(known);
    return;
  }
  const isOfImages = request.pieceFormat.container === 'image';
  try {
    const isAllGivenUp = request.segments.every(
      ({ frames, givenUp }) => givenUp.length === frames[1] - frames[0],
    );
    let model: LocalModel;
    let microBatch = 1;
    let framesPerRun: FramesPerRun = { max: 1, isFixed: false };
    if (isAllGivenUp) {
      model = await fetchModel(request.model, blobs, { cacheFolder, isHalfWanted: false });
    } else {
      // Loading takes the place of the model of the run before.
      if (!isLoaded(request)) await turn;
      const forRun = await loadModel(number, request);
      model = forRun.model;
      microBatch = isOfImages ? 1 : framesTogether(request, forRun);
      ({ framesPerRun } = forRun);
      const { executionProvider, precision, halfRefusal, cachedEngines } = forRun.answer;
      report({ type: 'loaded', executionProvider, precision, halfRefusal, cachedEngines, microBatch });
    }
    await (isOfImages ? runImages : runSegments)({
      request,
      blobs,
      inference,
      manifest: model.manifest,
      weights: parameterWeights(model.manifest, request.parameters),
      framesPerRun,
      microBatch: new MicroBatchSize(microBatch, (reduced, reason) =>
        report({ type: 'reduced', microBatch: reduced, reason }),
      ),
      decoderStalledMs: config.engineLimits.stuckMs + DECODER_START_MS,
      turn,
      onScored,
      send: report,
      ask: (question) => ask(number, question),
      stop: stop.signal,
      discard: discard.signal,
    });
    end(null);
  } catch (error) {
    if (discard.signal.aborted) {
      end(null);
      return;
    }
    const refusal = runRefusalOf(error);
    if (refusal.code === 'MODEL_INVALID' && refusal.isPermanent)
      rememberFaulty(keyOf(request.model), refusal);
    end(refusal);
  }
}

/** Two models may have one graph and differ in their manifests. */
function keyOf({ name, version, sha256, float16Sha256 = '' }: RunRequest['model']): string {
  return `${name}/${version}/${sha256}/${float16Sha256}`;
}

function rememberFaulty(key: string, refusal: RunRefusal): void {
  faultyModels.set(key, refusal);
  const [oldest] = faultyModels.keys();
  if (faultyModels.size > FAULTY_MODELS_MAX && oldest !== undefined) faultyModels.delete(oldest);
}

function isLoaded({ model, mayUseHalf }: RunRequest): boolean {
  return loaded?.key === keyOf(model) && (mayUseHalf || loaded.answer.precision === 'float32');
}

/** The last model stays loaded, because batches of a job usually follow each other. */
async function loadModel(runNumber: number, runRequest: RunRequest): Promise<LoadedModel> {
  if (loaded !== undefined && isLoaded(runRequest)) return loaded;
  const { model: reference, mayUseHalf } = runRequest;
  const { executionProviders, precision: setting } = config;
  loaded = undefined;
  const isHalfWanted = mayUseHalf && wantsHalf(setting, executionProviders);
  const model = await fetchModel(reference, blobs, { cacheFolder, isHalfWanted });
  const request = {
    modelPath: model.path,
    executionProviders,
    threads: config.inferenceThreads,
    deviceId: config.gpu,
    ...(executionProviders.includes('tensorrt') && {
      engineCache: { folder: cacheFolder, device: (await deviceName(config.gpu)) ?? 'unknown' },
    }),
  };
  const half = model.halfPath === null ? {} : { half: { path: model.halfPath, setting } };
  const answer = await load({ ...request, ...half }, model.manifest).catch(async (error: unknown) => {
    if (error instanceof ModelMismatchError) throw error;
    const diagnosis = await inference.diagnose(request);
    throw new ModelNotLoadedError(`The model cannot be loaded: ${describeError(error)}`, {
      isModelAtFault: isModelAtFault(diagnosis),
    });
  });
  loaded = {
    key: keyOf(reference),
    sha256: reference.sha256,
    run: runNumber,
    model,
    answer,
    framesPerRun: framesPerRunOf(model.manifest, answer.graph),
    deviceFreeBytes: answer.executionProvider === 'cuda' ? await freeDeviceBytes(config.gpu) : null,
  };
  return loaded;
}

/** Throws ModelMismatchError if the graph is not what the manifest says. */
async function load(
  request: Omit<LoadRequest, 'type'>,
  manifest: LocalModel['manifest'],
): Promise<LoadAnswer> {
  const answer = await inference.load(request);
  try {
    checkGraph(manifest, answer.graph);
    return answer;
  } catch (error) {
    if (answer.precision === 'float32') throw error;
    const { half: _half, ...single } = request;
    return { ...(await load(single, manifest)), halfRefusal: describeError(error) };
  }
}

function framesTogether({ pieceFormat, microBatchMax, draw }: RunRequest, forRun: LoadedModel): number {
  const { manifest } = forRun.model;
  const { input, output } = fitOf(manifest, pieceFormat);
  if (draw === true || tilingOf(manifest.input, input) !== undefined) return 1;
  return microBatchFrames({
    setting: config.microBatchFramesMax,
    executionProvider: forRun.answer.executionProvider,
    deviceFreeBytes: forRun.deviceFreeBytes,
    framesPerRun: forRun.framesPerRun,
    knownMax: microBatchMax,
    input,
    output,
  });
}

function send(message: FromEngine): void {
  // With a callback, a worker that has just ended causes no error here; `disconnect` follows.
  process.send?.(message, undefined, undefined, () => undefined);
}
