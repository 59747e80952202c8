/**
 * Folders for the engines that TensorRT builds from a model, which takes minutes. An engine fits one model file, one version of the
 * provider, and one kind of device, so each combination has a folder of its own. The oldest are removed.
 */
import { mkdir, readdir, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';

/** All engines together. One has about the size of the model's file, and a model has one for each size of pictures that it has seen. */
const BYTES_MAX = 4 * 2 ** 30;

export interface EngineCacheKey {
  /** Of the file: the float16 file of a model is another one. */
  readonly modelSha256: string;
  /** Of ONNX Runtime, which is also that of its providers. */
  readonly runtimeVersion: string;
  /** Its name, as the driver gives it. */
  readonly device: string;
}

function engineFolderName({ modelSha256, runtimeVersion, device }: EngineCacheKey): string {
  return [modelSha256, plain(runtimeVersion), plain(device)].join('_');
}

function plain(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9.]+/g, '-')
    .slice(0, 60);
}

export interface EngineFolder {
  readonly path: string;
  /** How many engines it has. */
  readonly engines: number;
}

/** Makes the folder if it is not there. Removes folders that were not used for the longest time, until the others fit. */
export async function openEngineFolder(
  cacheFolder: string,
  key: EngineCacheKey,
  bytesMax = BYTES_MAX,
): Promise<EngineFolder> {
  const all = path.join(cacheFolder, 'tensorrt');
  const own = path.join(all, engineFolderName(key));
  await mkdir(own, { recursive: true });
  const now = new Date();
  await utimes(own, now, now);
  const names = await readdir(all);
  const folders = await Promise.all(names.map((name) => measure(path.join(all, name))));
  let bytes = folders.reduce((sum, folder) => sum + folder.bytes, 0);
  for (const folder of folders.toSorted((one, other) => one.usedAtMs - other.usedAtMs)) {
    if (bytes <= bytesMax || folder.path === own) continue;
    await rm(folder.path, { recursive: true, force: true });
    bytes -= folder.bytes;
  }
  const engines = (await readdir(own)).filter((name) => name.endsWith('.engine')).length;
  return { path: own, engines };
}

async function measure(folder: string) {
  const names = await readdir(folder);
  const sizes = await Promise.all(names.map(async (name) => (await stat(path.join(folder, name))).size));
  const { mtimeMs } = await stat(folder);
  return { path: folder, usedAtMs: mtimeMs, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}
