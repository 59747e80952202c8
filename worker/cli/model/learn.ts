/**
 * `npm run model -- learn`: teaches the newest painter one more style and publishes that as its next version, which is then the default of
 * `npm run enqueue`. Ctrl-C stops the training and removes the intermediate files.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { publishedModels } from '../../../shared/azure/publish-models.ts';
import { callerPath } from '../../../shared/command/config.ts';
import { print, say } from '../../../shared/command/run-command.ts';
import { DEFAULT_MODEL } from '../../../shared/contract/job.ts';
import { PermanentError, describeError } from '../../../shared/runtime/errors.ts';
import { checkStyleName, learnStyle } from '../../learn/learn-style.ts';
import type { Material } from '../../learn/material.ts';
import { checkPython } from '../../learn/training.ts';
import type { LearnOptions } from './learn-options.ts';
import { showLearnProgress } from './learn-progress.ts';
import { type PublishedModel, fetchPublished } from './published.ts';
import type { ModelShelf } from './shelf.ts';

const file = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
const SAMPLE_VIDEO = file('../../../infra/sample/harbour.mp4');
const SAMPLE_PICTURE = file('../../../infra/sample/frame.jpg');

export interface LearnSurroundings {
  /** To find Python in. */
  readonly searchPath: string | undefined;
  readonly signal: AbortSignal;
}

export async function learn(
  options: LearnOptions,
  shelf: ModelShelf,
  surroundings: LearnSurroundings,
): Promise<void> {
  const { signal } = surroundings;
  const progress = options.asJson ? undefined : showLearnProgress();
  signal.addEventListener('abort', () => progress?.stop());
  const folder = await mkdtemp(path.join(tmpdir(), 'framefleet-learn-'));
  try {
    await learnIn(folder, options, { shelf, progress, ...surroundings });
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    progress?.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

interface LearnServices extends LearnSurroundings {
  readonly shelf: ModelShelf;
  readonly progress: ReturnType<typeof showLearnProgress> | undefined;
}

async function learnIn(
  folder: string,
  options: LearnOptions,
  { shelf, searchPath, signal, progress }: LearnServices,
): Promise<void> {
  const { blobs } = shelf;
  const { name, title, length, photos, picture, asJson } = options;
  const python = { program: options.python, searchPath };
  const note = asJson ? () => undefined : say;
  const base = await fetchPublished(blobs, { name: DEFAULT_MODEL, version: null }, folder);
  checkStyleName(base.manifest, name);
  const versions = (await publishedModels(blobs)).get(DEFAULT_MODEL) ?? [];
  const version = options.version ?? nextStyleVersion(base.manifest.version, versions);
  if (versions.includes(version))
    throw new PermanentError('USAGE', `The painter has a version ${version} already.`, {
      hint: 'Leave out --model-version, or choose another one.',
    });
  await checkPython(python, signal);
  const out = callerPath(options.out);
  const previewPath = path.join(out, `${DEFAULT_MODEL}-${version}-${name}.jpg`);
  await checkWritable(out, previewPath);
  note('Reading the pictures…');
  const learned = await learnStyle({
    base,
    style: { id: name, title },
    version,
    stylePath: callerPath(options.file),
    photosPath: photos === null ? null : callerPath(photos),
    samplePath: SAMPLE_VIDEO,
    picturePath: picture === null ? SAMPLE_PICTURE : callerPath(picture),
    previewPath,
    python,
    length,
    folder: path.join(folder, 'work'),
    onPrepared: (material) => {
      for (const sentence of preparedText(material, options, base)) note(sentence);
    },
    onProgress: (now) => progress?.update(now),
    signal,
  });
  progress?.stop();
  signal.throwIfAborted();
  await shelf.publish(learned.folder, learned.manifest);
  const newest = (await publishedModels(blobs)).get(DEFAULT_MODEL)?.at(-1);
  const model = newest === version ? '' : ` --model ${DEFAULT_MODEL}@${version}`;
  const command = `npm run enqueue -- video.mp4${model} --style ${name}`;
  if (asJson) {
    print(JSON.stringify({ manifest: learned.manifest, style: name, picture: previewPath, command }));
    return;
  }
  print(`${DEFAULT_MODEL} ${version}`);
  say(`The painter has the style ${name}. Look at it: ${previewPath}`);
  say(`Use it with: ${command}`);
}

/**
 * The version of the painter that it learns from, and a number: 2-1, 2-2. So it is newer than that one, and older than any painter that a later
 * release brings.
 */
export function nextStyleVersion(base: string, versions: readonly string[]): string {
  const [, release = base] = /^(.*?)(?:-\d+)?$/.exec(base) ?? [];
  const numbers = versions
    .filter((version) => version.startsWith(`${release}-`))
    .map((version) => Number(version.slice(release.length + 1)))
    .filter(Number.isInteger);
  return `${release}-${Math.max(0, ...numbers) + 1}`;
}

function preparedText(
  { ownCount, skipped }: Material,
  { file: painting, name, photos, length }: LearnOptions,
  { manifest }: PublishedModel,
): string[] {
  const long = 'steps' in length ? `for ${length.steps} steps` : `for about ${length.minutes} minutes`;
  return [
    ...(skipped.length === 0
      ? []
      : [`Warning: left out ${skipped.length} files of --photos that are no images that can be read.`]),
    photos === null
      ? 'The scenes to paint are those of the sample video. With --photos it learns from your own footage, and fits it better.'
      : `The scenes to paint are ${ownCount} of your own pictures.`,
    `Teaching the painter ${manifest.version} the style ${name} from ${path.basename(painting)}, ${long}…`,
  ];
}

/** Before the training, because it takes minutes. Throws OUTPUT_NOT_WRITABLE. */
async function checkWritable(folder: string, previewPath: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    const probe = `${previewPath}.part`;
    await writeFile(probe, '');
    await rm(probe);
  } catch (cause) {
    throw new PermanentError('OUTPUT_NOT_WRITABLE', `Cannot write to ${folder}: ${describeError(cause)}.`, {
      hint: 'Choose another folder with --out.',
      cause,
    });
  }
}
