/** The results of private fleets that could not be written where they should go: a folder for each job. */
import { type Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';

/** The kept storage emulator with the result in it: see `infra/local/kept-storage.ts`. */
const STORAGE_FOLDER = 'azurite';

export type KeptResult =
  | { readonly kind: 'file'; readonly folder: string; readonly path: string; readonly sizeBytes: number }
  | { readonly kind: 'storage'; readonly folder: string };

export function keptFolder(localFolder: string, jobId: string): string {
  return path.join(localFolder, 'kept', jobId);
}

export async function findKept(localFolder: string, jobId: string): Promise<KeptResult | undefined> {
  const folder = keptFolder(localFolder, jobId);
  const entries = await readdir(folder, { withFileTypes: true }).catch((): Dirent[] => []);
  if (entries.some(({ name }) => name === STORAGE_FOLDER)) return { kind: 'storage', folder };
  // The name of an unfinished copy starts with a dot.
  const file = entries.find((entry) => entry.isFile() && !entry.name.startsWith('.'));
  if (file === undefined) return undefined;
  const filePath = path.join(folder, file.name);
  return { kind: 'file', folder, path: filePath, sizeBytes: (await stat(filePath)).size };
}
