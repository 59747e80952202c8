/** Resolves the model that a job requests against the models published in the `models` container. */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { publishedModels } from '../../shared/azure/publish-models.ts';
import { modelBlob } from '../../shared/contract/blob-names.ts';
import type { JobRequest } from '../../shared/contract/job.ts';
import type { ModelReference } from '../../shared/contract/messages.ts';
import {
  type ModelManifest,
  UnknownChoiceError,
  UnknownParameterError,
  modelManifest,
  parameterWeights,
} from '../../shared/contract/model-manifest.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';

export interface ResolvedModel {
  readonly model: ModelReference;
  /** Set if the model has a state: how many frames before a batch it sees first. */
  readonly contextFrames?: number;
  readonly result: 'pictures' | 'numbers' | 'drawn';
}

/** Throws MODEL_UNKNOWN, MODEL_INVALID, STYLE_UNKNOWN or JOB_INVALID, with the available choices in the hint. */
export async function resolveModel(
  blobs: BlobStore,
  request: Pick<JobRequest, 'model' | 'parameters' | 'frameImages' | 'draw' | 'encoding' | 'container'>,
): Promise<ResolvedModel> {
  const { model, parameters } = request;
  const manifest = await findModel(blobs, model);
  try {
    parameterWeights(manifest, parameters);
  } catch (error) {
    const hint = parameterHint(error, manifest);
    if (!(error instanceof Error) || hint === undefined) throw error;
    throw new PermanentError(
      'STYLE_UNKNOWN',
      `Cannot use model ${manifest.name} with these parameters: ${error.message}.`,
      { hint, cause: error },
    );
  }
  const { name, version, sha256, float16, state } = manifest;
  return {
    model: { name, version, sha256, ...(float16 && { float16Sha256: float16.sha256 }) },
    ...(state && { contextFrames: state.contextFrames }),
    result: resultOf(manifest, request),
  };
}

/** The manifest of a model, in the requested version or the newest. Throws MODEL_UNKNOWN or MODEL_INVALID. */
export async function findModel(blobs: BlobStore, model: JobRequest['model']): Promise<ModelManifest> {
  return readManifest(blobs, await findVersion(blobs, model));
}

/** Throws JOB_INVALID if the job asks for what the model cannot give. */
function resultOf(
  { name, output }: ModelManifest,
  {
    frameImages,
    draw,
    encoding,
    container,
  }: Pick<JobRequest, 'frameImages' | 'draw' | 'encoding' | 'container'>,
): ResolvedModel['result'] {
  const refused = (why: string, hint: string): PermanentError =>
    new PermanentError('JOB_INVALID', `Model ${name} ${why}.`, { hint });
  if (!('kind' in output)) {
    if (draw === true) throw refused('returns pictures, so there is nothing to draw', 'Leave out --draw.');
    return 'pictures';
  }
  if (draw === true) {
    if (output.classes !== undefined || output.boxes !== undefined) return 'drawn';
    throw refused(
      'returns numbers, and does not say how to draw them',
      'Add it again with --labels for a classifier, or with --boxes for a detector.',
    );
  }
  if (encoding !== undefined || container !== undefined)
    throw refused(
      'returns numbers, so there is no video to encode',
      'Leave out --codec, --crf, --preset, --lossless, --encoder and --container, or add --draw.',
    );
  if (frameImages === undefined) return 'numbers';
  throw refused(
    'returns numbers, so its frames cannot be published as images',
    'Leave out --frames, or add --draw.',
  );
}

/** Undefined if the error is not about a parameter. */
function parameterHint(error: unknown, { parameters }: ModelManifest): string | undefined {
  if (error instanceof UnknownChoiceError) {
    const { choices } = error;
    return `Choose one of: ${choices.join(', ')}. To blend styles, give weights: ${choices[0]}:2,${choices.at(-1)}:1.`;
  }
  if (!(error instanceof UnknownParameterError)) return undefined;
  const names = Object.keys(parameters);
  return names.length === 0
    ? 'Leave out the option: this model has no parameters.'
    : `Available parameters: ${names.join(', ')}.`;
}

/** The requested version, or the newest one. */
async function findVersion(
  blobs: BlobStore,
  { name, version }: JobRequest['model'],
): Promise<{ readonly name: string; readonly version: string }> {
  const published = await publishedModels(blobs);
  const versions = published.get(name) ?? [];
  const found = version === undefined ? versions.at(-1) : versions.find((one) => one === version);
  if (found !== undefined) return { name, version: found };
  const all = [...published].map(([other, others]) => `${other} (${others.join(', ')})`).join('; ');
  throw new PermanentError(
    'MODEL_UNKNOWN',
    version === undefined ? `Model ${name} does not exist.` : `Model ${name} has no version ${version}.`,
    {
      hint:
        all === ''
          ? 'No model is published yet. Publish one to the models container.'
          : `Published models: ${all}. Choose one with \`--model\`.`,
    },
  );
}

async function readManifest(
  blobs: BlobStore,
  reference: { readonly name: string; readonly version: string },
): Promise<ModelManifest> {
  const bytes = await blobs.get('models', modelBlob(reference, 'model.json'));
  try {
    const manifest = modelManifest.parse(JSON.parse(String(bytes)));
    if (manifest.name === reference.name && manifest.version === reference.version) return manifest;
    throw new RangeError(`it describes ${manifest.name}/${manifest.version}`);
  } catch (cause) {
    throw new PermanentError(
      'MODEL_INVALID',
      `The model.json of ${reference.name}/${reference.version} is missing or not valid.`,
      {
        hint: 'Fix model.json and publish the model as a new version.',
        cause,
      },
    );
  }
}
