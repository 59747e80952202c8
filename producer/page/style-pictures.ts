/**
 * The first frame of an upload in each style of a model, small. Another process runs the model on the CPU, one at a time; the producer itself
 * loads no model. Where the runtime is not installed, there are no pictures, and styles are chosen by name.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import pLimit from 'p-limit';

import { modelBlob } from '../../shared/contract/blob-names.ts';
import type { ModelManifest } from '../../shared/contract/model-manifest.ts';
import { startTool } from '../../shared/media/tool-process.ts';
import { FleetError, PermanentError } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { sha256OfFile } from '../../shared/runtime/sha256.ts';
import { notAnImage } from '../control/image-files.ts';
import { findModel } from '../jobs/model-catalogue.ts';
import { imageSizeOf } from '../media/contact-sheet.ts';
import { jpegSize } from '../media/jpeg-size.ts';
import { firstFrameOf } from '../media/one-frame.ts';
import type { StylePictures } from './contract.ts';
import { type NewJobServices, checkedVideo, enterFolder } from './new-job.ts';
import type { UploadDocument } from './uploads.ts';

const PROGRAM = fileURLToPath(new URL('../../worker/import/style-pictures-main.ts', import.meta.url));
const RUNTIME = fileURLToPath(new URL('../../node_modules/onnxruntime-node', import.meta.url));
const WIDTH_MAX = 320;
/** A larger model takes minutes for each picture. */
const MODEL_BYTES_MAX = 256 * 1024 * 1024;
/** Besides the model: the first image and the pictures. */
const OTHER_BYTES = 128 * 1024 * 1024;
const CPU_SECONDS_MAX = 600;
/** Node reserves tens of GiB that it never uses. */
const ADDRESS_SPACE_BYTES_MAX = 64 * 2 ** 30;
const POLL_MS = 250;
/** Uploads and models whose pictures are kept in memory. */
const SETS_MAX = 16;

interface PictureSet {
  /** The blob of the file whose first frame is shown. */
  readonly pictured: string;
  readonly styles: readonly { readonly name: string; readonly title: string }[];
  /** Resolves when the first frame is known. */
  readonly size: Promise<{ readonly width: number; readonly height: number }>;
  /** By the number of the style. */
  readonly made: Map<number, Buffer>;
  trouble: string | null;
}

export interface StylePictureOptions extends NewJobServices {
  readonly log: Log;
  readonly signal: AbortSignal;
}

export class StylePictureMaker {
  readonly #options: StylePictureOptions;
  readonly #one = pLimit(1);
  /** The oldest first. */
  readonly #sets = new Map<string, PictureSet>();

  constructor(options: StylePictureOptions) {
    this.#options = options;
  }

  /** Starts to make the pictures, if that has not been done. Throws UPLOAD_UNKNOWN, MODEL_UNKNOWN, or the errors of the source. */
  async of(uploadId: string, model: string): Promise<StylePictures> {
    const set = await this.#setOf(uploadId, model);
    const { width, height } = await set.size;
    // The address changes with the picture: a browser keeps it.
    const query = new URLSearchParams({ model, of: set.pictured });
    return {
      width,
      height,
      trouble: set.trouble,
      styles: set.styles.map((style, number) => ({
        ...style,
        url: set.made.has(number) ? `/api/uploads/${uploadId}/styles/${number}?${query}` : null,
      })),
    };
  }

  /**
   * Waits until it is made: another producer may have been asked for the pictures before. Undefined if it is not made. Throws what `of`
   * throws.
   */
  async picture(uploadId: string, model: string, number: number): Promise<Buffer | undefined> {
    const set = await this.#setOf(uploadId, model);
    await set.size;
    const { clock, signal } = this.#options;
    while (number < set.styles.length && !set.made.has(number) && set.trouble === null)
      await clock.sleep(POLL_MS, signal);
    return set.made.get(number);
  }

  /** The upload is read each time: its first image may have been taken out. */
  async #setOf(uploadId: string, model: string): Promise<PictureSet> {
    const upload = await this.#options.uploads.find(uploadId);
    const pictured = upload.files[0]?.blobName ?? '';
    const key = `${pictured} ${model}`;
    return this.#sets.get(key) ?? (await this.#start(upload, model, { key, pictured }));
  }

  async #start(
    upload: UploadDocument,
    model: string,
    { key, pictured }: { readonly key: string; readonly pictured: string },
  ): Promise<PictureSet> {
    const manifest = await findModel(this.#options.blobs, { name: model });
    // Another request may have started it meanwhile.
    const before = this.#sets.get(key);
    if (before !== undefined) return before;
    const size = Promise.withResolvers<{ width: number; height: number }>();
    const set: PictureSet = {
      pictured,
      styles: (manifest.parameters['style']?.values ?? []).map(({ id, title = id }) => ({ name: id, title })),
      size: size.promise,
      made: new Map(),
      trouble: null,
    };
    size.promise.catch(() => this.#sets.delete(key));
    this.#sets.set(key, set);
    for (const oldest of [...this.#sets.keys()].slice(0, -SETS_MAX)) this.#sets.delete(oldest);
    void this.#one(() => this.#make(upload, manifest, set, size.resolve)).catch((error: unknown) => {
      size.reject(error);
      set.trouble = troubleText(error);
      this.#options.log.warn({ jobId: upload.jobId, model, error }, 'style pictures not made');
    });
    return set;
  }

  async #make(
    upload: UploadDocument,
    manifest: ModelManifest,
    set: PictureSet,
    onSize: (size: { width: number; height: number }) => void,
  ): Promise<void> {
    const { blobs, sourceLimits, signal } = this.#options;
    await using folder = await enterFolder(this.#options, upload, MODEL_BYTES_MAX + OTHER_BYTES);
    const at = (name: string): string => path.join(folder.path, name);
    if (upload.kind === 'video') {
      const sourcePath = await folder.source(signal);
      const video = await checkedVideo(sourcePath, sourceLimits, upload);
      const frame = await firstFrameOf({ sourcePath, video, widthMax: WIDTH_MAX, signal });
      await writeFile(at('picture'), frame);
      onSize(jpegSize(frame));
    } else {
      await blobs.getFile('incoming', set.pictured, at('picture'), { signal });
      onSize(await smallSizeOf(at('picture'), upload));
    }
    if (set.styles.length === 0) return;
    if (!existsSync(PROGRAM) || !existsSync(RUNTIME))
      throw new PermanentError('PROGRAM_MISSING', 'This producer has no inference runtime.', {
        hint: 'Choose the style by its name.',
      });
    const { sizeBytes = 0 } = (await blobs.stat('models', modelBlob(manifest, 'model.onnx'))) ?? {};
    if (sizeBytes > MODEL_BYTES_MAX)
      throw new PermanentError('MODEL_INVALID', 'The model is too large to try it here.', {
        hint: 'Choose the style by its name.',
      });
    await blobs.getFile('models', modelBlob(manifest, 'model.onnx'), at('model.onnx'), { signal });
    if ((await sha256OfFile(at('model.onnx'))) !== manifest.sha256)
      throw new PermanentError('MODEL_INVALID', 'The model in storage is not the one that was published.', {
        hint: 'Publish it again as a new version.',
      });
    await writeFile(at('model.json'), JSON.stringify(manifest));
    await mkdir(at('out'));
    await this.#run(at, set);
  }

  async #run(at: (name: string) => string, set: PictureSet): Promise<void> {
    const program = startTool({
      program: process.execPath,
      args: [PROGRAM, at('model.onnx'), at('model.json'), at('picture'), at('out'), String(WIDTH_MAX)],
      activity: 'making pictures of the styles',
      stdin: 'none',
      stdout: 'none',
      limits: { cpuSecondsMax: CPU_SECONDS_MAX, addressSpaceBytesMax: ADDRESS_SPACE_BYTES_MAX },
      signal: this.#options.signal,
    });
    const ended = program.finished.then(() => true as const);
    ended.catch(() => undefined); // Awaited below.
    for (let hasEnded = false; !hasEnded;) {
      const { clock } = this.#options;
      hasEnded = await Promise.race([ended, clock.sleep(POLL_MS).then(() => false)]);
      await takeMade(at('out'), set);
    }
  }
}

/** Throws SOURCE_NOT_IMAGE. */
async function smallSizeOf(file: string, { files }: UploadDocument) {
  const size = await imageSizeOf(file);
  if (size === undefined) throw notAnImage(files[0]?.name ?? '');
  const scale = Math.min(1, WIDTH_MAX / size.width);
  return {
    width: Math.round(size.width * scale),
    height: Math.max(1, Math.round(size.height * scale)),
  };
}

async function takeMade(folder: string, { styles, made }: PictureSet): Promise<void> {
  for (const number of styles.keys()) {
    if (made.has(number)) continue;
    const bytes = await readFile(path.join(folder, `${number}.jpg`)).catch(() => undefined);
    if (bytes === undefined) return;
    made.set(number, bytes);
  }
}

function troubleText(error: unknown): string {
  if (error instanceof FleetError)
    return error.hint === undefined ? error.message : `${error.message} ${error.hint}`;
  return 'The pictures could not be made. Choose the style by its name.';
}
