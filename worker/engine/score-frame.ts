/**
 * One frame through its stages: fetch → decode → infer → encode → store. What goes wrong with the frame itself is returned as a
 * failure with its kind. A model whose output is not what its manifest says is thrown (ModelMismatchError): no frame is at fault.
 *
 * The output is put only if it is absent: whoever comes second changes no byte, and both count as stored.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { frameBlob, scoredBlob } from '../../shared/contract/blob-names.ts';
import { type FailureKind, type Stage, type StageSeconds, cutText } from '../../shared/contract/messages.ts';
import type { ModelManifest } from '../../shared/contract/model-manifest.ts';
import { describeError } from '../../shared/runtime/errors.ts';
import { ModelMismatchError, checkOutput } from './check-model.ts';
import type { Inference } from './inference.ts';
import { type Picture, decodePicture, encodePicture } from './picture.ts';
import type { FrameFailed, FrameStored } from './protocol.ts';

export interface ScoreParts {
  readonly blobs: BlobStore;
  readonly inference: Inference;
  readonly manifest: ModelManifest;
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly jpegQuality: number;
  readonly on: { computing(frameIndex: number): void; computed(frameIndex: number): void };
  /** Aborted where nothing may be written any more: what is reported then is nobody's business. */
  readonly signal: AbortSignal;
}

type Scored =
  | { readonly ok: true; readonly frame: FrameStored }
  | { readonly ok: false; readonly frame: FrameFailed };

/** What a failure in a stage means for the frame. */
const KIND_OF_STAGE: Record<Stage, FailureKind> = {
  fetch: 'storage',
  decode: 'undecodable',
  infer: 'inference',
  encode: 'inference',
  store: 'storage',
};

export async function scoreFrame(parts: ScoreParts, jobId: string, frameIndex: number): Promise<Scored> {
  const { blobs, inference, manifest, weights, jpegQuality, on, signal } = parts;
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
  const failed = (kind: FailureKind, message: string): Scored => ({
    ok: false,
    frame: { frameIndex, kind, message: cutText(message), stageSeconds },
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
    // Waiting for the device is no work: what counts is the run.
    stageSeconds.infer = output.seconds;
    checkOutput(manifest, { width, height }, output.dims);
    const encoded = await timed('encode', () => encodePicture(pictureOf(output), { quality: jpegQuality }));
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

/** Its dimensions have been checked. */
function pictureOf({
  pixels,
  dims,
}: {
  readonly pixels: Uint8Array;
  readonly dims: readonly number[];
}): Picture {
  const [, height = 0, width = 0] = dims;
  return { pixels, width, height };
}
