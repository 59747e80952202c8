/**
 * The engine: the process that moves frames. A child of the worker, which holds the lease; whatever kills the engine, a
 * native crash or the memory killer, leaves the lease alone.
 *
 * It runs one batch at a time. Frames overlap: while one is on the device, others are fetched, decoded, encoded and stored.
 */
import pLimit from 'p-limit';

import { openBlobStore } from '../../shared/azure/blob-store.ts';
import { PATIENT, storageAccount } from '../../shared/azure/credentials.ts';
import { parameterWeights } from '../../shared/contract/model-manifest.ts';
import { indicesOf } from '../../shared/contract/ranges.ts';
import { describeError } from '../../shared/runtime/errors.ts';
import { workerConfig } from '../config.ts';
import { checkGraph } from './check-model.ts';
import { Inference } from './inference.ts';
import { type LocalModel, fetchModel } from './model.ts';
import type { FromEngine, Refusal, RunRequest, ToEngine } from './protocol.ts';
import { ModelNotLoadedError, isModelAtFault, refusalOf } from './refusal.ts';
import { scoreFrame } from './score-frame.ts';

/** Models that are remembered as being at fault. */
const REFUSED_MAX = 100;

const config = workerConfig();
const blobs = await openBlobStore(
  { media: storageAccount(config.mediaStorage), system: storageAccount(config.systemStorage) },
  PATIENT,
);
const inference = new Inference({
  onDeath: (error) => {
    process.stderr.write(`the inference thread died: ${describeError(error)}\n`);
    process.exit(1);
  },
});
let loaded:
  | { readonly sha256: string; readonly model: LocalModel; readonly executionProvider: string }
  | undefined;
/** Models that are known to be at fault, by their hash, and why: their other batches are not tried. */
const refused = new Map<string, Refusal>();
/** What stops the run in progress; null while there is none. */
let running: { readonly stop: AbortController; readonly discard: AbortController } | null = null;

process.on('disconnect', () => process.exit(0));
// A terminal's Ctrl-C reaches the whole group; the worker decides when the engine ends.
process.on('SIGINT', () => undefined);
process.on('message', (message: ToEngine) => {
  if (message.type === 'run') {
    void run(message.request);
  } else {
    running?.stop.abort();
    if (message.discard) running?.discard.abort();
  }
});

async function run(request: RunRequest): Promise<void> {
  const stop = new AbortController();
  const discard = new AbortController();
  running = { stop, discard };
  try {
    const model = await loadModel(request);
    const weights = parameterWeights(model.manifest, request.parameters);
    const parts = {
      blobs,
      inference,
      manifest: model.manifest,
      weights,
      jpegQuality: config.jpegQuality,
      on: {
        computing: (frameIndex: number) => say({ type: 'computing', frameIndex }),
        computed: (frameIndex: number) => say({ type: 'computed', frameIndex }),
      },
      signal: discard.signal,
    };
    const limit = pLimit(request.framesInFlight);
    await limit.map(indicesOf(request.frames), async (frameIndex) => {
      if (stop.signal.aborted || discard.signal.aborted) return;
      const scored = await scoreFrame(parts, request.jobId, frameIndex);
      if (discard.signal.aborted) return;
      say(scored.ok ? { type: 'stored', frame: scored.frame } : { type: 'failed', frame: scored.frame });
    });
    end(null);
  } catch (error) {
    // The outputs of frames in flight are not used any more.
    discard.abort();
    const refusal = refused.get(request.model.sha256) ?? refusalOf(error);
    if (refusal.code === 'MODEL_INVALID' && refusal.isHopeless) remember(request.model.sha256, refusal);
    end(refusal);
  }
}

function remember(sha256: string, refusal: Refusal): void {
  refused.set(sha256, refusal);
  const [oldest] = refused.keys();
  if (refused.size > REFUSED_MAX && oldest !== undefined) refused.delete(oldest);
}

function end(refusal: Refusal | null): void {
  running = null;
  say({ type: 'ended', refusal });
}

/** The model of the last batch stays loaded: batches of a job come one after the other. */
async function loadModel({ model: reference }: RunRequest): Promise<LocalModel> {
  if (loaded?.sha256 === reference.sha256) {
    say({ type: 'loaded', executionProvider: loaded.executionProvider });
    return loaded.model;
  }
  loaded = undefined;
  const before = refused.get(reference.sha256);
  if (before !== undefined) throw new ModelNotLoadedError(before.message, { isModelAtFault: true });
  const model = await fetchModel({ blobs, reference, cacheFolder: config.modelCacheFolder });
  const request = {
    modelPath: model.path,
    executionProviders: config.executionProviders,
    threads: config.inferenceThreads,
    deviceId: config.gpu,
  };
  const { executionProvider, graph } = await inference.load(request).catch(async (error: unknown) => {
    const judgement = await inference.judge(request);
    throw new ModelNotLoadedError(`It cannot be loaded: ${describeError(error)}`, {
      isModelAtFault: isModelAtFault(judgement),
    });
  });
  checkGraph(model.manifest, graph);
  loaded = { sha256: reference.sha256, model, executionProvider };
  say({ type: 'loaded', executionProvider });
  return model;
}

function say(message: FromEngine): void {
  // With a callback, a worker that has just gone is no error: `disconnect` tells of it.
  process.send?.(message, undefined, undefined, () => undefined);
}
