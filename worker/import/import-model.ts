/**
 * From an ONNX file to a folder that can be published: the wrapped graph, its `model.json`, and a picture before and after the model.
 * What a graph does not say is found out by running it.
 */
import { createHash } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { type ModelManifest, modelManifest } from '../../shared/contract/model-manifest.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import { type FormatAnswers, type ModelFormat, formatOf } from './format.ts';
import { type ImportedGraph, readGraph } from './graph.ts';
import { type HalfChoice, makeHalf } from './half-model.ts';
import type { NumbersFormat } from './numbers-format.ts';
import { FormatError } from './picture-shape.ts';
import { makeSteady } from './steady.ts';
import { type TrialResult, multipleOf, runTrial, scaleOf, uniformityWarning } from './trial.ts';
import { FRAMES, OPSET_MIN, SCORED, numbersName, wrapGraph } from './wrap.ts';

export interface ImportRequest {
  /** The ONNX file. */
  readonly file: string;
  readonly name: string;
  readonly version: string;
  readonly fit: ModelManifest['input']['fit'];
  /** For frames that are too large for the model as a whole. */
  readonly large: Pick<ModelManifest['input'], 'pixelsMax' | 'tile'>;
  /** Keep still parts of a video still. */
  readonly isSteady: boolean;
  readonly half: HalfChoice;
  readonly answers: FormatAnswers;
  /** The picture to try the model on. */
  readonly picturePath: string;
  /** Where to write it before and after the model, as a JPEG. */
  readonly outputPath: string;
  /** Receives the graph and `model.json`. It must not exist. */
  readonly folder: string;
}

export interface ImportedModel {
  readonly manifest: ModelManifest;
  readonly format: ModelFormat;
  readonly trial: Extract<TrialResult, { kind: 'tried' | 'numbers' }>;
  readonly warnings: readonly string[];
  /** What was found out about float16, if anything. */
  readonly halfRemark?: string;
}

/** Throws MODEL_INVALID with what to do next; the folder is then removed. */
export async function importModel(request: ImportRequest): Promise<ImportedModel> {
  const { file, folder } = request;
  const imported = await readGraph(file);
  if (imported.opset < OPSET_MIN)
    throw new PermanentError(
      'MODEL_INVALID',
      `${file} uses opset ${imported.opset}; the oldest that can be wrapped is ${OPSET_MIN}.`,
      { hint: 'Export the model again with a newer opset, or convert it with onnx.version_converter.' },
    );
  await mkdir(folder, { recursive: true });
  try {
    return await withHalf(request, await build(request, imported, request.answers));
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    if (!(error instanceof FormatError)) throw error;
    throw new PermanentError('MODEL_INVALID', `Cannot add ${file}: ${error.message}`, {
      hint: error.hint,
      cause: error,
    });
  }
}

async function withHalf(request: ImportRequest, model: ImportedModel): Promise<ImportedModel> {
  const { folder, picturePath, half: choice } = request;
  const { float16, remark } = await makeHalf({ folder, manifest: model.manifest, picturePath, choice });
  const manifest = float16 === undefined ? model.manifest : { ...model.manifest, float16 };
  await writeManifest(folder, manifest);
  return { ...model, manifest, ...(remark !== undefined && { halfRemark: remark }) };
}

async function writeManifest(folder: string, manifest: ModelManifest): Promise<void> {
  await writeFile(path.join(folder, 'model.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
}

async function build(
  request: ImportRequest,
  imported: ImportedGraph,
  answers: FormatAnswers,
): Promise<ImportedModel> {
  const { file, folder, picturePath, outputPath } = request;
  const format = formatOf(imported, answers);
  checkTile(request, format);
  if (request.isSteady && format.state !== undefined)
    throw new FormatError('a model with a state of its own cannot be kept steady.', 'Leave out `--steady`.');
  const wrapped = wrapGraph(imported, format);
  const first = manifestOf(request, format, wrapped, 1);
  const modelPath = path.join(folder, first.file);
  const manifestPath = path.join(folder, 'model.json');
  await writeFile(modelPath, wrapped);
  await writeFile(manifestPath, JSON.stringify(first));
  const trial = await runTrial({ modelPath, manifestPath, picturePath, outputPath });
  const again = (multiple: number | undefined, error: Error): Promise<ImportedModel> => {
    if (multiple === undefined || answers.multipleOf !== undefined) throw error;
    return build(request, imported, { ...answers, multipleOf: multiple });
  };
  if (trial.kind === 'numbers') {
    if (request.isSteady)
      throw new FormatError('it returns numbers, which cannot be kept steady.', 'Leave out --steady.');
    if (trial.odd !== null) return again(trial.odd.multiple, sizeRefused(trial.odd));
    if (trial.areProbabilities === true && answers.softmax === true)
      throw new FormatError('its scores are probabilities already.', 'Leave out `--softmax`.');
    return { manifest: first, format, trial, warnings: numbersWarnings(trial, answers) };
  }
  if (trial.kind !== 'tried') return again(trial.multiple, refused(file, trial));
  const scale = scaleOf(trial.main);
  const odd = trial.odd;
  if (odd !== null && ('reason' in odd || scaleOf(odd) !== scale)) {
    const found = 'reason' in odd ? odd.multiple : scale && multipleOf(odd, scale);
    return again(found, sizeRefused(odd));
  }
  if (scale === undefined) throw sizeRefused(trial.main);
  if (request.large.tile !== undefined && !Number.isInteger(scale))
    throw new FormatError(
      `its pictures are ${scale} times as large as its frames, so tiles of them do not fit together.`,
      'Leave out `--tile`.',
    );
  const plain = manifestOf(request, format, wrapped, scale);
  const manifest = request.isSteady ? await steady(request, plain, wrapped, scale) : plain;
  await writeManifest(folder, manifest);
  if (request.isSteady) {
    const result = await runTrial({ modelPath, manifestPath, picturePath, outputPath });
    if ('reason' in result) throw refused(file, result);
  }
  const warning = uniformityWarning(trial);
  return { manifest, format, trial, warnings: warning === undefined ? [] : [warning] };
}

function numbersWarnings(
  { areProbabilities, notFinite }: Extract<TrialResult, { kind: 'numbers' }>,
  { softmax }: FormatAnswers,
): string[] {
  const names = notFinite.map((name) => `"${name}"`).join(', ');
  return [
    ...(areProbabilities === false && softmax !== true
      ? ['The scores are not probabilities. If they are logits, add the model with `--softmax`.']
      : []),
    ...(notFinite.length === 0
      ? []
      : [
          `The output ${names} has values that are infinite or not a number; they are null in the result. Check \`--range\`, \`--mean\` and \`--std\`.`,
        ]),
  ];
}

function checkTile({ large: { tile }, isSteady }: ImportRequest, { size, output, state }: ModelFormat): void {
  if (tile === undefined) return;
  if ('kind' in output || isSteady || state !== undefined)
    throw new FormatError(
      `${isSteady ? 'a model that keeps still parts still' : 'kind' in output ? 'a model that returns numbers' : 'a model with a state'} cannot run in tiles.`,
      'Leave out `--tile`. To bound the memory for large frames, use `--max-megapixels`.',
    );
  const { width, height, overlap } = tile;
  if (Math.min(width, height) <= 2 * overlap)
    throw new FormatError(
      `of a tile of ${width} x ${height}, nothing is left with an overlap of ${overlap} on each side.`,
      'Use larger tiles or a smaller overlap.',
    );
  if (size === 'any') return;
  const fits =
    'width' in size
      ? size.width === width && size.height === height
      : width % size.multipleOf === 0 && height % size.multipleOf === 0;
  if (fits) return;
  throw new FormatError(
    `it does not take tiles of ${width} x ${height}.`,
    'width' in size
      ? `Its frames have one size: \`--tile ${size.width}x${size.height}\`.`
      : `Both sides must be multiples of ${size.multipleOf}.`,
  );
}

/** Replaces the graph by its steady form. Returns the manifest of that. */
async function steady(
  { folder }: ImportRequest,
  manifest: ModelManifest,
  wrapped: Uint8Array,
  scale: number,
): Promise<ModelManifest> {
  if (scale !== 1)
    throw new FormatError(
      `its pictures are ${scale} times as large as its frames, so they cannot be kept steady.`,
      'Leave out --steady.',
    );
  const { bytes, changes } = makeSteady(wrapped, manifest);
  await writeFile(path.join(folder, manifest.file), bytes);
  return { ...manifest, ...changes, sha256: createHash('sha256').update(bytes).digest('hex') };
}

function manifestOf(
  { name, version, fit, large }: ImportRequest,
  { size, batch, output, state }: ModelFormat,
  wrapped: Uint8Array,
  scale: number,
): ModelManifest {
  const pixels = { type: 'uint8', layout: 'NHWC', channels: 'rgb' };
  return modelManifest.parse({
    name,
    version,
    file: `${name}.onnx`,
    sha256: createHash('sha256').update(wrapped).digest('hex'),
    input: { name: FRAMES, ...pixels, size, fit, batch, ...large },
    output: 'kind' in output ? numbersOf(output) : { name: SCORED, ...pixels, scale },
    ...(state && { state }),
  });
}

function numbersOf({ tensors, classes, boxes }: NumbersFormat): object {
  return {
    kind: 'numbers',
    tensors: Object.fromEntries(tensors.map(({ name }) => [name, numbersName(name)])),
    ...(classes && { classes }),
    ...(boxes && { boxes }),
  };
}

function refused(
  file: string,
  { kind, reason, hint: given }: Extract<TrialResult, { reason: string }>,
): PermanentError {
  const isNew = /opset|ir_version|IR version/i.test(reason);
  const isUnknown =
    /not a registered function|is not a registered|No Op registered|Failed to find kernel/i.test(reason);
  const hint =
    given ??
    (isNew
      ? 'Export the model with an older opset.'
      : isUnknown
        ? 'Export the model with operators of ONNX only.'
        : kind === 'failed'
          ? 'Check `--range`, `--layout` and `--multiple-of`, or run the model directly with ONNX Runtime.'
          : undefined);
  const what = kind === 'failed' ? 'does not run' : 'cannot be loaded by ONNX Runtime';
  return new PermanentError(
    'MODEL_INVALID',
    `${file} ${what}: ${reason}`,
    hint === undefined ? {} : { hint },
  );
}

function sizeRefused(
  run: { readonly reason: string } | NonNullable<Parameters<typeof scaleOf>[0]>,
): FormatError {
  const hint =
    'If it takes one size only, say which: `--size 224x224`. If both sides of a frame must be multiples of a number: `--multiple-of 96`.';
  if ('reason' in run)
    return new FormatError(`it does not take a picture of 101 x 67 pixels: ${run.reason}`, hint);
  const { input, output } = run;
  return new FormatError(
    `a picture of ${input.width} x ${input.height} pixels became ${output.width} x ${output.height}.`,
    hint,
  );
}
