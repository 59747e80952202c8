/**
 * One frame through its stages: fetch → decode → infer → encode → store.
 *
 * Returns a failure with its kind if the frame could not be scored. Throws ModelMismatchError if the model's output does not match
 * its manifest, which is no frame's fault. The output is stored only if it is absent: a second worker changes no byte, and both
 * report the frame as stored.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { frameBlob, scoredBlob } from '../../shared/contract/blob-names.ts';
import { type FailureKind, type Stage, type StageSeconds, cutText } from '../../shared/contract/messages.ts';
import type { ModelManifest } from '../../shared/contract/model-manifest.ts';
import { describeError } from '../../shared/runtime/errors.ts';
import { ModelMismatchError, checkOutput } from './check-model.ts';
import type { Inference } from './inference-client.ts';
import { decodePicture, encodePicture } from './picture.ts';
import type { FailedAttempt, StoredFrame } from './protocol.ts';

export interface FrameRun {
  readonly blobs: BlobStore;
  readonly inference: Inference;
  readonly manifest: ModelManifest;
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly jpegQuality: number;
  readonly on: { computing(frameIndex: number): void; computed(frameIndex: number): void };
  /** Aborted when nothing more may be written. The result is then of no use. */
  readonly signal: AbortSignal;
}

type FrameOutcome =
  | { readonly ok: true; readonly frame: StoredFrame }
  | { readonly ok: false; readonly frame: FailedAttempt };

/** What an error in a stage means for the frame. */
const KIND_OF_STAGE: Record<Stage, FailureKind> = {
  fetch: 'storage',
  decode: 'undecodable',
  infer: 'inference',
  encode: 'inference',
  store: 'storage',
};

export async function scoreFrame(run: FrameRun, jobId: string, frameIndex: number): Promise<FrameOutcome> {
  const { blobs, inference, manifest, weights, jpegQuality, on, signal } = run;
  const stageSeconds: StageSeconds = { fetch: 0, decode: 0, infer: 0, encode: 0, store: 0 };
  let stage: Stage = 'fetch';
  const timed = async <T>(name: Stage, work: () => Promise<T>): Promise<T> => {
    stage = name;
    signal.throwIfAborted();
    const startedAt = performance.now();
    const result = await work();
    stageSeconds[name] = (performance.now() - startedAt) / 1000;
    return result;
  };
  const failed = (kind: FailureKind, message: string): FrameOutcome => ({
    ok: false,
    frame: { frameIndex, kind, message: cutText(message), attempts: 1, stageSeconds },
  });

  try {
    const jpeg = await timed('fetch', () => blobs.get('frames', frameBlob(jobId, frameIndex), { signal }));
    if (jpeg === undefined) return failed('missing', 'the frame is not in storage');
    on.computing(frameIndex);
    const { pixels, width, height } = await timed('decode', () => decodePicture(jpeg));
    const output = await timed('infer', () =>
      inference.infer({
        input: { name: manifest.input.name, pixels, dims: [1, height, width, 3] },
        weights,
        outputName: manifest.output.name,
      }),
    );
    // The time of the run alone, without the wait for the device.
    stageSeconds.infer = output.seconds;
    checkOutput(manifest, { width, height }, output.dims);
    const [, outputHeight = 0, outputWidth = 0] = output.dims;
    const scored = { pixels: output.pixels, width: outputWidth, height: outputHeight };
    const encoded = await timed('encode', () => encodePicture(scored, jpegQuality));
    on.computed(frameIndex);
    await timed('store', () =>
      blobs.put('scored', scoredBlob(jobId, frameIndex), encoded, {
        onlyIfAbsent: true,
        contentType: 'image/jpeg',
        signal,
      }),
    );
    return { ok: true, frame: { frameIndex, megapixels: (width * height) / 1e6, stageSeconds } };
  } catch (error) {
    if (error instanceof ModelMismatchError) throw error;
    return failed(KIND_OF_STAGE[stage], describeError(error));
  }
}
