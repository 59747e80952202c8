/**
 * Chooses the path of a result and tries to write there before the job starts, so that an hour of work does not end in "permission
 * denied". Never replaces an existing file without `--force`, and never replaces the source.
 */
import { lstat, open, realpath, rm, stat } from 'node:fs/promises';
import path from 'node:path';

import { imageFormatOf } from '../../shared/contract/image-list.ts';
import { PermanentError, errnoOf } from '../../shared/runtime/errors.ts';
import { isFileSystemError, outputRefused } from './output-refused.ts';

/** The longest file name that most file systems accept. */
const NAME_BYTES_MAX = 255;

export interface OutputRequest {
  /** Undefined if the source is not on this machine. */
  readonly sourcePath: string | undefined;
  /** The absolute form of what the user typed: a file or an existing folder. */
  readonly outputPath: string | undefined;
  readonly defaultFolder: string;
  /** Stem, label and container make the default name: `holiday.starry-night.mp4`. */
  readonly stem: string;
  readonly label: string;
  readonly container: string;
  /** Whether the result may replace an existing file. */
  readonly mayReplace: boolean;
}

export interface OutputPlan {
  readonly path: string;
  readonly mayReplace: boolean;
}

/** Leaves no file behind. Throws OUTPUT_NOT_WRITABLE or USAGE. */
export async function planOutput(request: OutputRequest): Promise<OutputPlan> {
  const { sourcePath, container, mayReplace } = request;
  const chosen = await choosePath(request);
  if (!isSameFormat(path.extname(chosen).slice(1), container)) {
    throw new PermanentError(
      'USAGE',
      `The result will be a .${container} file, but --out is ${path.basename(chosen)}.`,
      { hint: `Pass a file name that ends in .${container}, or an existing folder.` },
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
    // Keep a symbolic link, and replace its target.
    const target = found === undefined ? chosen : await realpath(chosen);
    await tryName(partialPath(target));
    return { path: target, mayReplace };
  } catch (error) {
    throw isFileSystemError(error) ? outputRefused(chosen, error) : error;
  }
}

/** Whether two endings mean the same format: `JPEG` and `jpg`. */
export function isSameFormat(one: string, other: string): boolean {
  const [a, b] = [one, other].map((ending) => imageFormatOf(`.${ending}`) ?? ending.toLowerCase());
  return a === b;
}

export function outputExists(outputPath: string): PermanentError {
  const hint = 'Add --force to replace it, or choose another path with --out PATH.';
  return outputRefused(outputPath, 'it already exists', hint);
}

/** Where a download is written until it is complete: in the same folder, so that it can be renamed. */
export function partialPath(outputPath: string): string {
  return path.join(path.dirname(outputPath), `.framefleet-${process.pid}.part`);
}

async function choosePath(request: OutputRequest): Promise<string> {
  const { outputPath, defaultFolder, stem, label, container } = request;
  const defaultName = fittingName(stem, `.${label}.${container}`);
  if (outputPath === undefined) return path.join(defaultFolder, defaultName);
  const found = await stat(outputPath).catch(() => undefined);
  return found?.isDirectory() === true ? path.join(outputPath, defaultName) : outputPath;
}

/** Shortens the end of a stem that is too long for a file name, never within a character. */
function fittingName(stem: string, suffix: string): string {
  const characters = Array.from(stem);
  while (characters.length > 1 && Buffer.byteLength(characters.join('') + suffix) > NAME_BYTES_MAX)
    characters.pop();
  return characters.join('') + suffix;
}

/** A broken symbolic link also takes the path. */
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

/** Creates and removes the file: only the file system knows which names and users it accepts. */
async function tryName(filePath: string): Promise<void> {
  const file = await open(filePath, 'wx');
  await file.close();
  await rm(filePath);
}
