/**
 * The models that were added on this machine: `own-models/<name>@<version>/` in the folder of the local fleet. Every local fleet publishes
 * them when it starts, also the one that `enqueue` starts for itself.
 */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';

import type { ModelManifest } from '../contract/model-manifest.ts';

export function ownModelsFolder(localFolder: string): string {
  return path.join(localFolder, 'own-models');
}

function folderOf(localFolder: string, { name, version }: ModelManifest): string {
  return path.join(ownModelsFolder(localFolder), `${name}@${version}`);
}

/** Copies the model in `folder`, which has the form that `publishModel` takes. */
export async function keepOwnModel(
  localFolder: string,
  folder: string,
  manifest: ModelManifest,
): Promise<void> {
  const kept = folderOf(localFolder, manifest);
  // A fleet that starts meanwhile must not see a part of it.
  const copy = path.join(localFolder, `.own-model-${process.pid}`);
  await mkdir(copy, { recursive: true });
  const { file, float16 } = manifest;
  for (const name of [file, ...(float16 === undefined ? [] : [float16.file]), 'model.json'])
    await copyFile(path.join(folder, name), path.join(copy, name));
  await mkdir(path.dirname(kept), { recursive: true });
  await rm(kept, { recursive: true, force: true });
  await rename(copy, kept);
}

/** Returns false if there is none. */
export async function removeOwnModel(localFolder: string, manifest: ModelManifest): Promise<boolean> {
  const folder = folderOf(localFolder, manifest);
  if (!existsSync(folder)) return false;
  await rm(folder, { recursive: true, force: true });
  return true;
}
