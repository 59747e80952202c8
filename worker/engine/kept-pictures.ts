/**
 * The still pictures that a run stores beside its segments: a preview of the first frame of each batch, and every frame as an image if the
 * job asks for that. They are stored before their segment, so a stored segment has all its pictures.
 */
import pLimit from 'p-limit';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { reachStorage } from '../../shared/azure/storage-errors.ts';
import { frameImageBlob, previewBlob } from '../../shared/contract/blob-names.ts';
import type { FrameRange } from '../../shared/contract/ranges.ts';
import type { Fit } from './fit.ts';
import { encodeImage, previewOf } from './picture.ts';
import type { RunRequest } from './protocol.ts';
import type { KeptFrame } from './score-segments.ts';

/** Images that are encoded or stored at the same time. Bounds memory: each is a copy of a frame. */
const IMAGES_AT_ONCE = 4;

export interface KeptPicturesOptions {
  readonly blobs: BlobStore;
  readonly request: RunRequest;
  readonly fit: Fit;
  readonly signal: AbortSignal;
}

export class KeptPictures {
  readonly #options: KeptPicturesOptions;
  readonly #limit = pLimit(IMAGES_AT_ONCE);
  readonly #images: { readonly frameIndex: number; readonly stored: Promise<void> }[] = [];
  #preview: Buffer | undefined;

  constructor(options: KeptPicturesOptions) {
    this.#options = options;
  }

  /** Resolves when the buffers of the frame may be used for other frames. */
  async keep({ frameIndex, input, output }: KeptFrame): Promise<void> {
    const { request, fit } = this.#options;
    const { frameImages } = request;
    if (frameIndex === request.frameStart) {
      const before = { pixels: input, size: fit.input };
      this.#preview = await previewOf(before, { pixels: output, size: fit.output }, fit.result);
    }
    if (frameImages === null) return;
    const pixels = new Uint8Array(output);
    const stored = this.#limit(async () => {
      const image = await encodeImage({ pixels, size: fit.output }, fit.result, frameImages);
      await this.#put(frameImageBlob(request, frameIndex, frameImages), image, `image/${TYPES[frameImages]}`);
    });
    stored.catch(() => undefined); // Awaited in `store`.
    this.#images.push({ frameIndex, stored });
    if (this.#limit.pendingCount > 0) await this.#images.at(-1 - this.#limit.pendingCount)?.stored;
  }

  /** Resolves when all pictures of the segment are stored. Throws STORAGE_UNAVAILABLE. */
  async store([frameStart, frameEnd]: FrameRange): Promise<void> {
    const { request } = this.#options;
    while ((this.#images[0]?.frameIndex ?? frameEnd) < frameEnd) await this.#images.shift()?.stored;
    if (this.#preview === undefined) return;
    await this.#put(previewBlob(request, frameStart), this.#preview, 'image/jpeg');
    this.#preview = undefined;
  }

  /** Overwrites: a frame that failed before may be scored by now. */
  async #put(name: string, bytes: Buffer, contentType: string): Promise<void> {
    const { blobs, signal } = this.#options;
    await reachStorage('the scored container', () =>
      blobs.put('scored', name, bytes, { contentType, signal }),
    );
  }
}

const TYPES = { jpg: 'jpeg', png: 'png' } as const;
