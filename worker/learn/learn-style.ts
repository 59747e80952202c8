/**
 * Teaches the painter one more style from one picture: prepares what it learns from, trains a row for each table of its graph, and checks the
 * new version. The other styles must paint the same pictures as before. The result is a folder that can be published.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { ModelManifest } from '../../shared/contract/model-manifest.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import { sideBySide } from '../engine/picture.ts';
import { makeHalf } from '../import/half-model.ts';
import { addStyle, hasStyleTables, stylesOf, withStyle } from './add-style.ts';
import { type Material, prepareMaterial } from './material.ts';
import { paintAll, paintedInLast } from './paint.ts';
import { type TrainingRequest, trainStyle } from './training.ts';

export interface LearnRequest extends Pick<TrainingRequest, 'python' | 'length' | 'onProgress'> {
  /** The painter to add to. */
  readonly base: {
    readonly manifest: ModelManifest;
    readonly modelPath: string;
    readonly manifestPath: string;
  };
  readonly style: { readonly id: string; readonly title: string | null };
  readonly version: string;
  /** The image of the painting. */
  readonly stylePath: string;
  readonly photosPath: string | null;
  readonly samplePath: string;
  /** What the preview shows in the new style. */
  readonly picturePath: string;
  /** Where to write the preview, as a JPEG: the painting, the picture, and the picture in the new style. */
  readonly previewPath: string;
  /** An empty folder for intermediate files. */
  readonly folder: string;
  /** Called when everything is prepared, before the training starts. */
  readonly onPrepared: (material: Material) => void;
  readonly signal: AbortSignal;
}

export interface LearnedModel {
  /** With the graph and `model.json`. */
  readonly folder: string;
  readonly manifest: ModelManifest;
}

/** Throws MODEL_INVALID, PICTURE_INVALID, SOURCE_…, PROGRAM_MISSING, TRAINING_FAILED, INTERNAL or the signal's reason. */
export async function learnStyle(request: LearnRequest): Promise<LearnedModel> {
  const { base, style, version, stylePath, photosPath, samplePath, picturePath, folder, signal } = request;
  const graph = await readFile(base.modelPath);
  if (!hasStyleTables(graph, base.manifest))
    throw new PermanentError(
      'MODEL_INVALID',
      `The model painter ${base.manifest.version} is not the painter of this project, so it cannot learn.`,
      { hint: 'Remove it, so that the version before is the newest: npm run model -- list' },
    );
  const material = await prepareMaterial({ picturePath: stylePath, photosPath, samplePath, folder, signal });
  const inTheirs = { picturePath, signal };
  const before = await paintAll({ ...inTheirs, ...base, prefix: path.join(folder, 'before') });
  request.onPrepared(material);
  const rows = await trainStyle({
    python: request.python,
    modelPath: base.modelPath,
    stylePath: material.stylePath,
    scenesFolder: material.scenesFolder,
    check: before,
    folder,
    length: request.length,
    onProgress: request.onProgress,
    signal,
  });
  const bytes = addStyle(graph, { ...style, rows });
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const plain = withStyle(base.manifest, style, { version, sha256 });
  const result = path.join(folder, 'painter');
  const [modelPath, manifestPath] = [path.join(result, plain.file), path.join(result, 'model.json')];
  await mkdir(result);
  await writeFile(modelPath, bytes);
  await writeFile(manifestPath, textOf(plain));
  const after = await paintAll({ ...inTheirs, modelPath, manifestPath, prefix: path.join(folder, 'after') });
  const painted = await paintedInLast(before, after);
  const pixels = await readFile(after.pixelsPath);
  const pictures = [pixels, painted].map((one) => ({ pixels: one, size: after.size }));
  await writeFile(request.previewPath, await sideBySide(material.stylePath, pictures));
  const { float16 } = await makeHalf({ folder: result, manifest: plain, picturePath, choice: 'auto' });
  const manifest = float16 === undefined ? plain : { ...plain, float16 };
  await writeFile(manifestPath, textOf(manifest));
  return { folder: result, manifest };
}

function textOf(manifest: ModelManifest): string {
  return `${JSON.stringify(manifest, undefined, 2)}\n`;
}

/** The styles of a model must have different names. Throws USAGE. */
export function checkStyleName(manifest: ModelManifest, name: string): void {
  const styles = stylesOf(manifest);
  if (!styles.includes(name)) return;
  throw new PermanentError('USAGE', `The painter ${manifest.version} has a style ${name} already.`, {
    hint: `Choose another name. It has: ${styles.join(', ')}.`,
  });
}
