/**
 * Where a result is written. Decided and tried before any work is done, so that an hour of work does not end in "permission
 * denied". Nothing that exists is replaced without `--force`, and the source never.
 */
import { lstat, open, realpath, rm, stat } from 'node:fs/promises';
import path from 'node:path';

import { PermanentError, errnoOf } from '../../shared/runtime/errors.ts';
import { isFileSystemError, outputRefused } from './output-refused.ts';

/** The longest name that most file systems take. */
const NAME_BYTES_MAX = 255;

export interface OutputWish {
  /** Undefined where it is not on this machine. */
  readonly sourcePath: string | undefined;
  /** As typed, made absolute; a file or an existing folder. */
  readonly outputPath: string | undefined;
  readonly defaultFolder: string;
  /** The default name is made of these: `holiday.starry-night.mp4`. */
  readonly stem: string;
  readonly label: string;
  readonly container: string;
  /** Whether a file that is there may be replaced. */
  readonly mayReplace: boolean;
}

export interface OutputPlan {
  readonly path: string;
  readonly mayReplace: boolean;
}

/** Throws OUTPUT_NOT_WRITABLE or USAGE. Leaves nothing behind. */
export async function planOutput(wish: OutputWish): Promise<OutputPlan> {
  const { sourcePath, container, mayReplace } = wish;
  const chosen = await choosePath(wish);
  if (path.extname(chosen).toLowerCase() !== `.${container}`) {
    throw new PermanentError(
      'USAGE',
      `The result will be a .${container} file, but --out names ${path.basename(chosen)}.`,
      { hint: `Pass --out a name that ends in .${container}, or an existing folder.` },
    );
  }
  try {
    if (!(await isTaken(chosen))) {
      await tryName(chosen);
      await tryName(partialPath(chosen));
      return { path: chosen, mayReplace };
    }
    if (sourcePath !== undefined && (await isSameFile(chosen, sourcePath)))
      throw outputRefused(chosen, 'it is the source itself');
    const found = await stat(chosen).catch(() => undefined);
    if (found?.isDirectory() === true) throw outputRefused(chosen, 'it is a folder');
    if (found?.isFile() === false) throw outputRefused(chosen, 'it is not a regular file');
    if (!mayReplace) throw outputExists(chosen);
    // A link stays, and the file it leads to is replaced.
    const target = found === undefined ? chosen : await realpath(chosen);
    await tryName(partialPath(target));
    return { path: target, mayReplace };
  } catch (error) {
    throw isFileSystemError(error) ? outputRefused(chosen, error) : error;
  }
}

export function outputExists(outputPath: string): PermanentError {
  return outputRefused(outputPath, 'it exists already', {
    hint: 'Add --force to replace it, or choose another place: -- --out PATH',
  });
}

/** Where a download is written until it is whole: beside its place, so that it can be renamed. */
export function partialPath(outputPath: string): string {
  return path.join(path.dirname(outputPath), `.framefleet-${process.pid}.part`);
}

async function choosePath({
  outputPath,
  defaultFolder,
  stem,
  label,
  container,
}: OutputWish): Promise<string> {
  const defaultName = fittingName(stem, `.${label}.${container}`);
  if (outputPath === undefined) return path.join(defaultFolder, defaultName);
  const found = await stat(outputPath).catch(() => undefined);
  return found?.isDirectory() === true ? path.join(outputPath, defaultName) : outputPath;
}

/** Cuts the end of a stem that is too long for a name, never inside a character. */
function fittingName(stem: string, suffix: string): string {
  const characters = Array.from(stem);
  while (characters.length > 1 && Buffer.byteLength(characters.join('') + suffix) > NAME_BYTES_MAX)
    characters.pop();
  return characters.join('') + suffix;
}

/** Also by a link that leads nowhere. */
async function isTaken(filePath: string): Promise<boolean> {
  try {
    await lstat(filePath);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

async function isSameFile(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([one, other].map((file) => stat(file).catch(() => undefined)));
  return a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino;
}

/** Only the file system itself knows which names it takes, and from whom. */
async function tryName(filePath: string): Promise<void> {
  const file = await open(filePath, 'wx');
  await file.close();
  await rm(filePath);
}
