/**
 * Puts the models that come with the project into the `models` container: what operators do on Azure. A version that is
 * published never changes, so what is there already is left alone.
 */
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { modelBlob } from '../../shared/contract/blob-names.ts';
import { modelManifest } from '../../shared/contract/model-manifest.ts';

/** `folder` holds a folder a model, each with `model.json` and the file it names. */
export async function publishModels({
  blobs,
  folder,
}: {
  readonly blobs: BlobStore;
  readonly folder: string;
}): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await publishModel(blobs, path.join(folder, entry.name));
  }
}

async function publishModel(blobs: BlobStore, folder: string): Promise<void> {
  const text = await readFile(path.join(folder, 'model.json'), 'utf8');
  const manifest = modelManifest.parse(JSON.parse(text));
  if ((await blobs.stat('models', modelBlob(manifest, 'model.json'))) !== undefined) return;
  await blobs.putFile('models', modelBlob(manifest, 'model.onnx'), path.join(folder, manifest.file));
  // Last: a model is published once its manifest is there.
  await blobs.put('models', modelBlob(manifest, 'model.json'), text, { contentType: 'application/json' });
}
