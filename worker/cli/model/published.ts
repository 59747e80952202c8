/** The models in the `models` container: list, fetch, remove. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { BlobStore } from '../../../shared/azure/blob-store.ts';
import { publishedModels } from '../../../shared/azure/publish-models.ts';
import { modelBlob } from '../../../shared/contract/blob-names.ts';
import { type ModelManifest, modelManifest } from '../../../shared/contract/model-manifest.ts';
import { parseJson } from '../../../shared/contract/parse-json.ts';
import { PermanentError } from '../../../shared/runtime/errors.ts';
import { sha256OfFile } from '../../../shared/runtime/sha256.ts';

export interface PublishedModel {
  readonly manifest: ModelManifest;
  readonly manifestPath: string;
  readonly modelPath: string;
}

const HALF_BLOB = 'model-float16.onnx';

export interface WantedModel {
  readonly name: string;
  /** Null: the newest. */
  readonly version: string | null;
}

/** By name, the oldest version first. */
export async function listPublished(blobs: BlobStore): Promise<ModelManifest[]> {
  const models: ModelManifest[] = [];
  for (const [name, versions] of await publishedModels(blobs)) {
    for (const version of versions) {
      const manifest = parseManifest(await blobs.get('models', modelBlob({ name, version }, 'model.json')));
      if (manifest !== undefined) models.push(manifest);
    }
  }
  return models;
}

/** One more than the newest numbered version. */
export async function nextVersion(blobs: BlobStore, name: string): Promise<string> {
  const versions = (await publishedModels(blobs)).get(name) ?? [];
  const numbers = versions.map(Number).filter(Number.isInteger);
  return String(Math.max(0, ...numbers) + 1);
}

/** Throws MODEL_INVALID for a version that exists: a published version never changes. */
export async function refusePublished(
  blobs: BlobStore,
  { name, version }: { readonly name: string; readonly version: string },
): Promise<void> {
  const versions = (await publishedModels(blobs)).get(name) ?? [];
  if (!versions.includes(version)) return;
  throw new PermanentError('MODEL_INVALID', `The model ${name} has a version ${version} already.`, {
    hint: 'A published version never changes. Choose another --model-version, or leave it out for the next number.',
  });
}

/** Fetches the manifest, and the graphs too if there is a folder for them. Throws MODEL_UNKNOWN. */
export async function fetchPublished(
  blobs: BlobStore,
  wanted: WantedModel,
  folder?: string,
): Promise<PublishedModel> {
  const all = await listPublished(blobs);
  const found = all.findLast(
    ({ name, version }) => name === wanted.name && version === (wanted.version ?? version),
  );
  if (found === undefined) throw unknown(wanted, all);
  const [modelPath, manifestPath] = [
    path.join(folder ?? '', 'model.onnx'),
    path.join(folder ?? '', 'model.json'),
  ];
  if (folder !== undefined) {
    await blobs.getFile('models', modelBlob(found, 'model.onnx'), modelPath);
    if (found.float16 !== undefined) await fetchHalf(blobs, found, path.join(folder, HALF_BLOB));
    await writeFile(manifestPath, JSON.stringify(found));
  }
  return { manifest: found, modelPath, manifestPath };
}

/** Throws MODEL_INVALID if it is not the file that the manifest names: workers with GPUs refuse it then. */
async function fetchHalf(blobs: BlobStore, manifest: ModelManifest, file: string): Promise<void> {
  await blobs.getFile('models', modelBlob(manifest, HALF_BLOB), file);
  if ((await sha256OfFile(file)) === manifest.float16?.sha256) return;
  throw new PermanentError(
    'MODEL_INVALID',
    `The ${HALF_BLOB} of the model ${manifest.name} ${manifest.version} is not the file that its model.json names.`,
    { hint: 'Add the model again as a new version, and remove this one.' },
  );
}

/** Removes the manifest first, which hides the model from new jobs. Throws MODEL_UNKNOWN. */
export async function removePublished(blobs: BlobStore, wanted: WantedModel): Promise<ModelManifest> {
  const { manifest } = await fetchPublished(blobs, wanted);
  await blobs.remove('models', modelBlob(manifest, 'model.json'));
  await blobs.remove('models', modelBlob(manifest, 'model.onnx'));
  if (manifest.float16 !== undefined) await blobs.remove('models', modelBlob(manifest, HALF_BLOB));
  return manifest;
}

function parseManifest(bytes: Buffer | undefined): ModelManifest | undefined {
  return modelManifest.safeParse(parseJson(String(bytes))).data;
}

function unknown({ name, version }: WantedModel, all: readonly ModelManifest[]): PermanentError {
  const names = [...new Set(all.map((model) => model.name))].join(', ');
  const what =
    version === null ? `Model ${name} does not exist.` : `Model ${name} has no version ${version}.`;
  return new PermanentError('MODEL_UNKNOWN', what, {
    hint:
      names === ''
        ? 'Add a model with: npm run model -- add FILE --name NAME'
        : `Published models: ${names}.`,
  });
}
