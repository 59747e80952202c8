/**
 * Lists the `models` container, and uploads the models of a folder to it. On Azure, operators do this. Each model is checked first, so a mistake in
 * a folder is found before a job uses the model. A published version never changes: the same model is skipped, and a different
 * model with the same version is rejected. Only a file with float16 arithmetic may be added to a version that has none.
 */
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';

import { NAME_PATTERN, modelBlob } from '../contract/blob-names.ts';
import { firstIssue } from '../contract/messages.ts';
import { type ModelManifest, modelManifest } from '../contract/model-manifest.ts';
import { parseJson } from '../contract/parse-json.ts';
import { PermanentError, describeError, errnoOf } from '../runtime/errors.ts';
import { sha256OfFile } from '../runtime/sha256.ts';
import type { BlobStore } from './blob-store.ts';

/** `folder` has one subfolder per model, with `model.json` and the file that it names. Throws CONFIG_INVALID or MODEL_INVALID. */
export async function publishModels(blobs: BlobStore, folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw new PermanentError(
      'CONFIG_INVALID',
      `Cannot read the model folder ${folder}: ${describeError(cause)}.`,
      {
        hint: 'Set FRAMEFLEET_LOCAL_MODELS to a folder with one subfolder per model, or unset it.',
        cause,
      },
    );
  });
  for (const entry of entries) {
    if (entry.isDirectory()) await publishModel(blobs, path.join(folder, entry.name));
  }
}

/** Publishes the model in a folder. Throws MODEL_INVALID. */
export async function publishModel(blobs: BlobStore, folder: string): Promise<void> {
  const text = await readFile(path.join(folder, 'model.json'), 'utf8').catch((cause: unknown) => {
    throw invalid(folder, errnoOf(cause) === 'ENOENT' ? 'it has no model.json' : describeError(cause));
  });
  const manifest = manifestIn(folder, text);
  const { float16 } = manifest;
  await checkFile(folder, manifest);
  if (float16 !== undefined) await checkFile(folder, float16);
  const blob = (file: Parameters<typeof modelBlob>[1]): string => modelBlob(manifest, file);
  const published = await blobs.get('models', blob('model.json'));
  const before = published && modelManifest.safeParse(parseJson(String(published))).data;
  if (published !== undefined) {
    if (before === undefined) return;
    const isOther =
      float16 !== undefined && before.float16 !== undefined && before.float16.sha256 !== float16.sha256;
    if (before.sha256 !== manifest.sha256 || isOther)
      throw invalid(
        folder,
        `a different model is already published as ${manifest.name}/${manifest.version}; use a new version`,
      );
    if (float16 === undefined || before.float16 !== undefined) return;
  }
  if (before === undefined)
    await blobs.putFile('models', blob('model.onnx'), path.join(folder, manifest.file));
  if (float16 !== undefined)
    await blobs.putFile('models', blob('model-float16.onnx'), path.join(folder, float16.file));
  // The manifest comes last: it makes the model visible to jobs. To a published model, the float16 file is added.
  const json =
    before === undefined ? text : JSON.stringify({ ...(parseJson(String(published)) as object), float16 });
  await blobs.put('models', blob('model.json'), json, { contentType: 'application/json' });
}

async function checkFile(
  folder: string,
  { file, sha256 }: { readonly file: string; readonly sha256: string },
): Promise<void> {
  const found = await sha256OfFile(path.join(folder, file)).catch((cause: unknown) => {
    const isMissing = errnoOf(cause) === 'ENOENT';
    throw invalid(
      folder,
      isMissing ? `the file ${file} named in model.json is missing` : describeError(cause),
    );
  });
  if (found !== sha256)
    throw invalid(folder, `the sha256 of ${file} is ${found}, but model.json says ${sha256}`);
}

function manifestIn(folder: string, text: string): ModelManifest {
  const json = parseJson(text);
  if (json === undefined) throw invalid(folder, 'its model.json is not valid JSON');
  const parsed = modelManifest.safeParse(json);
  if (!parsed.success) throw invalid(folder, `its model.json is not valid: ${firstIssue(parsed.error)}`);
  return parsed.data;
}

function invalid(folder: string, why: string): PermanentError {
  return new PermanentError('MODEL_INVALID', `Cannot publish the model in ${folder}: ${why}.`, {
    hint: 'Correct or remove the folder. For an example see worker/models/painter/model.json.',
  });
}

/** Model names with their versions, oldest first. */
export async function publishedModels(blobs: BlobStore): Promise<Map<string, string[]>> {
  const published = new Map<string, string[]>();
  for await (const { name: blobName } of blobs.list('models', {})) {
    const [name, version, file] = blobName.split('/');
    if (name === undefined || version === undefined || file !== 'model.json') continue;
    if (!NAME_PATTERN.test(name) || !NAME_PATTERN.test(version)) continue;
    published.set(name, [...(published.get(name) ?? []), version].toSorted(byNumber));
  }
  return published;
}

const { compare: byNumber } = new Intl.Collator('en', { numeric: true });
