/** The options that describe a job, whatever its video: for `enqueue` and `share open`. */
import { type Command, InvalidArgumentError, Option } from 'commander';

import { NAME_PATTERN } from '../../shared/contract/blob-names.ts';
import {
  CODECS,
  CRF_MAX,
  DEFAULT_CRF,
  DEFAULT_ENCODING,
  ENCODERS,
  type Encoding,
  FAILED_FRAME_POLICIES,
  type FailedFramePolicy,
  IMAGE_FORMATS,
  type ImageFormat,
  PRESETS,
  RESULT_CONTAINERS,
  type ResultContainer,
} from '../../shared/contract/encoding.ts';
import {
  DEFAULT_MODEL,
  DEFAULT_SETTINGS,
  type FailedFramesMax,
  type JobSettings,
  PRIORITIES,
  type Priority,
  failedFramesMax,
} from '../../shared/contract/job.ts';
import { BATCH_FRAMES_MAX } from '../../shared/contract/limits.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';

export interface JobOptionValues {
  readonly style?: string;
  /** False if the user wants no steady video. */
  readonly steady?: boolean;
  readonly model?: JobSettings['model'];
  readonly batch?: number;
  readonly priority: Priority;
  readonly onFailedFrame: FailedFramePolicy;
  readonly maxFailedFrames?: FailedFramesMax;
  readonly maxCost?: number;
  readonly codec?: Encoding['codec'];
  readonly crf?: number;
  readonly preset?: Encoding['preset'];
  readonly lossless?: boolean;
  readonly encoder?: Encoding['encoder'];
  readonly container?: ResultContainer;
  readonly frames?: ImageFormat;
  readonly draw?: boolean;
}

export function addJobOptions(command: Command): Command {
  return command
    .option(
      '--style <style>',
      'style of the model, or a blend such as starry-night:2,candy:1 (default: its first style)',
      parseStyle,
    )
    .option('--no-steady', 'paint each frame for itself: still parts of the picture may flicker')
    .option('--model <name[@version]>', `model to run (default: ${DEFAULT_MODEL})`, parseModel)
    .option(
      '--batch <frames>',
      `frames per batch, 1 to ${BATCH_FRAMES_MAX} (default: about 30 s of work)`,
      parseBatch,
    )
    .addOption(
      new Option('--priority <level>', 'jobs with a higher priority run first')
        .choices(PRIORITIES)
        .default(DEFAULT_SETTINGS.priority),
    )
    .addOption(
      new Option('--on-failed-frame <policy>', 'what to do with a frame that cannot be scored')
        .choices(FAILED_FRAME_POLICIES)
        .default(DEFAULT_SETTINGS.onFailedFrame),
    )
    .option(
      '--max-failed-frames <frames>',
      'fail the job if more frames fail: a number, or a percentage such as 5% (default: 5%, at least 1)',
      parseFailedFramesMax,
    )
    .option(
      '--max-cost <amount>',
      'hold the job when it has cost this much, in the currency of FRAMEFLEET_PRICES; without prices the recorded cost is 0; npm run cap raises it (default: no limit)',
      parseAmount,
    )
    .addOption(
      new Option('--codec <codec>', `codec of the result (default: ${DEFAULT_ENCODING.codec})`).choices(
        CODECS,
      ),
    )
    .option(
      '--crf <n>',
      `quality of the result, 0 to ${CRF_MAX}, lower is better (default: ${DEFAULT_CRF.h264} for h264, ${DEFAULT_CRF.hevc} for hevc)`,
      parseCrf,
    )
    .addOption(
      new Option(
        '--preset <preset>',
        `speed of the encoder; slower presets give smaller files (default: ${DEFAULT_ENCODING.preset})`,
      ).choices(PRESETS),
    )
    .addOption(
      new Option(
        '--lossless',
        'keep every pixel of the scored frames, in RGB; few players read this',
      ).conflicts('crf'),
    )
    .addOption(
      new Option('--encoder <encoder>', 'nvenc: the encoder of the GPU (default: software)').choices(
        ENCODERS,
      ),
    )
    .addOption(
      new Option(
        '--container <format>',
        'format of the result (default: that of --out, else like the video)',
      ).choices(RESULT_CONTAINERS),
    )
    .addOption(
      new Option('--frames <format>', 'also publish each scored frame as an image').choices(IMAGE_FORMATS),
    )
    .option('--draw', 'draw the labels or boxes of a model that returns numbers into the video');
}

const JOB_OPTIONS: readonly (keyof JobOptionValues)[] = [
  'style',
  'steady',
  'model',
  'batch',
  'priority',
  'onFailedFrame',
  'maxFailedFrames',
  'maxCost',
  'codec',
  'crf',
  'preset',
  'lossless',
  'encoder',
  'container',
  'frames',
  'draw',
];

/** Whether the user typed at least one of these options. Defaults do not count. */
export function hasJobOptions(command: Command): boolean {
  return JOB_OPTIONS.some((option) => command.getOptionValueSource(option) === 'cli');
}

export function toJobSettings(values: JobOptionValues): JobSettings {
  const { style, steady, batch, maxFailedFrames, maxCost, container, frames } = values;
  return {
    model: values.model ?? DEFAULT_SETTINGS.model,
    parameters: {
      ...(style === undefined ? {} : { style }),
      ...(steady === false ? { steady: 'off' } : {}),
    },
    ...(batch === undefined ? {} : { batchSize: batch }),
    priority: values.priority,
    onFailedFrame: values.onFailedFrame,
    ...(maxFailedFrames === undefined ? {} : { failedFramesMax: maxFailedFrames }),
    ...(maxCost === undefined ? {} : { spendingMax: maxCost }),
    ...encodingOf(values),
    ...(container === undefined ? {} : { container }),
    ...(frames === undefined ? {} : { frameImages: frames }),
    ...(values.draw === true ? { draw: true } : {}),
  };
}

/** Nothing if the job does not differ from the default, so that a later default applies to it. Throws USAGE. */
function encodingOf(values: JobOptionValues): Pick<JobSettings, 'encoding'> {
  const { codec, crf, preset, lossless = false, encoder } = values;
  const isDefault = [codec, crf, preset, encoder].every((value) => value === undefined) && !lossless;
  if (isDefault) return {};
  if (lossless && encoder === 'nvenc')
    throw new PermanentError('USAGE', '--lossless needs the software encoder.', {
      hint: 'Leave out --encoder nvenc.',
    });
  const chosen = codec ?? DEFAULT_ENCODING.codec;
  return {
    encoding: {
      codec: chosen,
      crf: lossless ? null : (crf ?? DEFAULT_CRF[chosen]),
      preset: preset ?? DEFAULT_ENCODING.preset,
      encoder: encoder ?? DEFAULT_ENCODING.encoder,
    },
  };
}

function parseCrf(text: string): number {
  const crf = Number(text);
  if (!/^\d+$/.test(text) || crf > CRF_MAX)
    throw new InvalidArgumentError(`Expected a whole number from 0 to ${CRF_MAX}.`);
  return crf;
}

function parseModel(text: string): JobSettings['model'] {
  const [name = '', version, ...rest] = text.split('@');
  const names = version === undefined ? [name] : [name, version];
  if (rest.length > 0 || names.some((one) => !NAME_PATTERN.test(one))) {
    throw new InvalidArgumentError('Expected a name such as painter or painter@1.');
  }
  return version === undefined ? { name } : { name, version };
}

export function parseAmount(text: string): number {
  const amount = Number(text);
  if (!(amount > 0 && amount <= 1e9))
    throw new InvalidArgumentError('Expected an amount above 0, such as 2.50.');
  return amount;
}

/** The form only: which styles exist is up to the model. */
function parseStyle(text: string): string {
  if (/^[\w-]+(:[\d.e-]+)?(, *[\w-]+(:[\d.e-]+)?)*$/.test(text)) return text;
  throw new InvalidArgumentError(
    'Expected a style such as great-wave, or a blend such as starry-night:2,candy:1.',
  );
}

function parseBatch(text: string): number {
  const frames = Number(text);
  if (!Number.isInteger(frames) || frames < 1 || frames > BATCH_FRAMES_MAX) {
    throw new InvalidArgumentError(`Expected a whole number from 1 to ${BATCH_FRAMES_MAX}.`);
  }
  return frames;
}

function parseFailedFramesMax(text: string): FailedFramesMax {
  const [, digits, unit] = /^(\d{1,8}(?:\.\d{1,6})?)(%?)$/.exec(text) ?? [];
  const max = unit === '%' ? { percent: Number(digits) } : { frames: Number(digits) };
  const parsed = failedFramesMax.safeParse(max);
  if (!parsed.success)
    throw new InvalidArgumentError('Expected a number of frames such as 12, or a percentage such as 5%.');
  return parsed.data;
}
