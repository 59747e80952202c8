/**
 * Models from the `models` container, cached on disk by their sha256. The hash is checked before every load, because neither the
 * network nor the disk is trusted.
 */
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { reachStorage } from '../../shared/azure/storage-errors.ts';
import { modelBlob } from '../../shared/contract/blob-names.ts';
import type { ModelReference } from '../../shared/contract/messages.ts';
import { type ModelManifest, modelManifest } from '../../shared/contract/model-manifest.ts';
import { PermanentError, TransientError, errnoOf } from '../../shared/runtime/errors.ts';
import { sha256OfFile } from '../../shared/runtime/sha256.ts';

export interface LocalModel {
  readonly manifest: ModelManifest;
  readonly path: string;
  /** Of the file with float16 arithmetic; null if the model has none, or it is not wanted. */
  readonly halfPath: string | null;
}

export interface FetchModelOptions {
  readonly cacheFolder: string;
  /** Fetch the file with float16 arithmetic, too, if the model has one. */
  readonly isHalfWanted: boolean;
}

const CONTAINER = 'the models container';

/** Throws MODEL_INVALID if a published file is not the one that the job pinned, MODEL_UNKNOWN, and STORAGE_UNAVAILABLE. */
export async function fetchModel(
  reference: ModelReference,
  blobs: BlobStore,
  { cacheFolder, isHalfWanted }: FetchModelOptions,
): Promise<LocalModel> {
  const manifest = await fetchManifest(blobs, reference);
  const fetch = (file: ModelFile, sha256: string): Promise<string> =>
    fetchFile({ reference, file, sha256 }, blobs, cacheFolder);
  const { sha256, float16Sha256 } = reference;
  return {
    manifest,
    path: await fetch('model.onnx', sha256),
    halfPath:
      isHalfWanted && float16Sha256 !== undefined ? await fetch('model-float16.onnx', float16Sha256) : null,
  };
}

type ModelFile = 'model.onnx' | 'model-float16.onnx';

interface WantedFile {
  readonly reference: ModelReference;
  readonly file: ModelFile;
  readonly sha256: string;
}

/** Returns the path of the cached copy. */
async function fetchFile(
  { reference, file, sha256 }: WantedFile,
  blobs: BlobStore,
  cacheFolder: string,
): Promise<string> {
  const cached = path.join(cacheFolder, `${sha256}.onnx`);
  if ((await isFile(cached)) && (await sha256OfFile(cached)) === sha256) return cached;

  await mkdir(cacheFolder, { recursive: true });
  const partial = `${cached}.${process.pid}.part`;
  try {
    const blobName = modelBlob(reference, file);
    if ((await reachStorage(CONTAINER, () => blobs.stat('models', blobName))) === undefined)
      throw unknown(reference);
    await reachStorage(CONTAINER, () => blobs.getFile('models', blobName, partial));
    const found = await sha256OfFile(partial);
    if (found !== sha256) {
      throw new PermanentError(
        'MODEL_INVALID',
        `The ${file} of the published model ${reference.name}/${reference.version} is not the one that the job pinned: its sha256 is ${found.slice(0, 12)}….`,
        {
          hint: 'Publish a changed model under a new version. A published version must not change.',
        },
      );
    }
    await rename(partial, cached);
  } finally {
    await rm(partial, { force: true });
  }
  return cached;
}

async function fetchManifest(blobs: BlobStore, reference: ModelReference): Promise<ModelManifest> {
  const bytes = await reachStorage(CONTAINER, () => blobs.get('models', modelBlob(reference, 'model.json')));
  if (bytes === undefined) throw unknown(reference);
  try {
    return modelManifest.parse(JSON.parse(bytes.toString('utf8')));
  } catch (cause) {
    throw new PermanentError(
      'MODEL_INVALID',
      `The model.json of ${reference.name}/${reference.version} is not valid.`,
      { cause },
    );
  }
}

function unknown({ name, version }: ModelReference): TransientError {
  return new TransientError('MODEL_UNKNOWN', `The model ${name}/${version} is not in the models container.`);
}

async function isFile(filePath: string): Promise<boolean> {
  try {
    return (await stat(filePath)).isFile();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}
