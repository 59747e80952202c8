/** The options of `npm run model -- add`. */
import { type Command, InvalidArgumentError, Option } from 'commander';

import { NAME_PATTERN } from '../../../shared/contract/blob-names.ts';
import { BOX_FORMATS, BOX_UNITS } from '../../../shared/contract/model-manifest.ts';
import { PermanentError } from '../../../shared/runtime/errors.ts';
import { CHANNEL_ORDERS, type FormatAnswers, RANGES } from '../../import/format.ts';
import type { HalfChoice } from '../../import/half-model.ts';
import { LAYOUTS } from '../../import/picture-shape.ts';
import {
  collectStates,
  collectValues,
  parseContextFrames,
  parseCount,
  parseDivisors,
  parseMegapixels,
  parseNumbers,
  parseOverlap,
  parseScore,
  parseSize,
  parseTop,
} from './option-values.ts';

const FITS = ['stretch', 'letterbox'] as const;

interface Tile {
  readonly width: number;
  readonly height: number;
  readonly overlap: number;
}

export interface AddOptions {
  readonly verb: 'add';
  readonly file: string;
  readonly name: string;
  readonly version: string | null;
  readonly fit: (typeof FITS)[number];
  readonly large: { readonly pixelsMax?: number; readonly tile?: Tile };
  readonly isSteady: boolean;
  readonly half: HalfChoice;
  readonly picture: string | null;
  readonly out: string;
  /** A file with the names of the classes. */
  readonly labels: string | null;
  readonly answers: FormatAnswers;
  readonly asJson: boolean;
}

/** `onParsed` receives the options when the command is used. */
export function addAddCommand(program: Command, onParsed: (options: AddOptions) => void): void {
  program
    .command('add')
    .description(
      'check, wrap, try and publish an ONNX model that takes a picture and returns a picture or numbers',
    )
    .argument('<file>', 'the ONNX file')
    .requiredOption(
      '--name <name>',
      'name of the model in the fleet: lower-case letters, digits and dashes',
      parseModelName,
    )
    .option('--model-version <version>', 'version (default: one more than the newest)', parseModelName)
    .addOption(new Option('--range <range>', 'values of black and white in the input').choices(RANGES))
    .addOption(
      new Option('--channels <order>', 'order of the channels (default: rgb)').choices(CHANNEL_ORDERS),
    )
    .option(
      '--mean <numbers>',
      'mean that is subtracted, in units of the range, one or one a channel',
      parseNumbers,
    )
    .option('--std <numbers>', 'deviation that the rest is divided by', parseDivisors)
    .addOption(
      new Option(
        '--output-range <range>',
        'values of black and white in the output (default: those of the input)',
      ).choices(RANGES),
    )
    .addOption(
      new Option('--output-channels <order>', 'order of the channels in the output').choices(CHANNEL_ORDERS),
    )
    .addOption(
      new Option('--layout <layout>', 'where the channels are, if the shape does not say').choices(LAYOUTS),
    )
    .option('--steady', 'keep still parts of a video still, for a model that changes the style of pictures')
    .option(
      '--float16',
      'for GPUs, add a second file with float16 arithmetic, however far from float32 it is',
    )
    .option('--no-float16', 'add no such file (default: if it is close to float32)')
    .addOption(
      new Option('--fit <how>', 'how frames get the size of a model with a fixed size')
        .choices(FITS)
        .default(FITS[0]),
    )
    .option('--multiple-of <pixels>', 'number of which both sides of a frame must be multiples', parseCount)
    .option(
      '--size <WxH>',
      'size of every frame, if the graph leaves it free and runs at one size only',
      parseSize,
    )
    .option(
      '--tile <WxH>',
      'score larger frames in tiles, for a model of which a pixel depends only on those around it',
      parseSize,
    )
    .option('--tile-overlap <pixels>', 'how far around: the overlap on each side', parseOverlap, 32)
    .option(
      '--max-megapixels <n>',
      'scale larger frames down for the model, and its pictures back: bounds its memory',
      parseMegapixels,
    )
    .option('--numbers', 'the output is numbers, although it looks like a picture')
    .option('--labels <file>', 'names of the classes, one a line: the output is a score for each of them')
    .option('--top <n>', 'how many of the best classes to report (default: 5)', parseTop)
    .option('--softmax', 'the scores are logits: report probabilities')
    .option('--boxes <output>', 'output with four numbers for each box, of a detector')
    .option('--box-scores <output>', 'output with the score of each box, or of each box and class')
    .option('--box-classes <output>', 'output with the class of each box')
    .addOption(
      new Option('--box-format <format>', 'corners, or corner or centre and size')
        .choices(BOX_FORMATS)
        .default('xyxy'),
    )
    .addOption(
      new Option('--box-unit <unit>', 'pixels of the picture that the model takes, or shares of its sides')
        .choices(BOX_UNITS)
        .default('pixels'),
    )
    .option('--min-score <score>', 'leave out boxes with a lower score', parseScore, 0.5)
    .option('--input <name>', 'input that takes the picture, if there are several')
    .option('--output <name>', 'output to use, if there are several (default for numbers: all)')
    .addOption(
      new Option('--set <name=numbers>', 'value of another input, for all frames; can be repeated')
        .argParser(collectValues)
        .default(new Map(), 'none'),
    )
    .addOption(
      new Option(
        '--state <input=output>',
        'input that takes what this output was with the frame before, zeros at first; can be repeated',
      )
        .argParser(collectStates)
        .default(new Map(), 'none'),
    )
    .option(
      '--context-frames <n>',
      'frames before a batch that a model with a state sees first (default: 4)',
      parseContextFrames,
    )
    .option('--picture <file>', 'picture to try the model on (default: a frame of the sample video)')
    .addOption(
      new Option('--out <folder>', 'folder for the result of the trial').default('.', 'the current folder'),
    )
    .option('--json', 'print one JSON object')
    .action((file: string, values: AddValues, command: Command) => {
      refuseWithoutEffect(command);
      const { name, modelVersion, fit, steady = false, float16, picture, out, json, ...more } = values;
      const { set, state, labels, tile, tileOverlap, maxMegapixels, ...others } = more;
      const { boxes, boxScores, boxClasses, boxFormat, boxUnit, minScore, ...answers } = others;
      const large = {
        ...(tile && { tile: { ...tile, overlap: tileOverlap } }),
        ...(maxMegapixels !== undefined && { pixelsMax: Math.round(maxMegapixels * 1e6) }),
      };
      onParsed({
        verb: 'add',
        file,
        name,
        fit,
        large,
        isSteady: steady,
        half: float16 === undefined ? 'auto' : float16 ? 'always' : 'never',
        out,
        version: modelVersion ?? null,
        picture: picture ?? null,
        labels: labels ?? null,
        answers: {
          ...answers,
          ...(boxes !== undefined && {
            boxes: boxesOf({
              boxes,
              ...(boxScores !== undefined && { boxScores }),
              ...(boxClasses !== undefined && { boxClasses }),
              boxFormat,
              boxUnit,
              minScore,
            }),
          }),
          values: set,
          states: state,
        },
        asJson: json ?? false,
      });
    });
}

interface AddValues extends Omit<FormatAnswers, 'values' | 'states' | 'labels' | 'boxes'> {
  readonly boxes?: string;
  readonly boxScores?: string;
  readonly boxClasses?: string;
  readonly boxFormat: Boxes['format'];
  readonly boxUnit: Boxes['unit'];
  readonly minScore: number;
  readonly labels?: string;
  readonly tile?: Pick<Tile, 'width' | 'height'>;
  readonly tileOverlap: number;
  readonly maxMegapixels?: number;
  readonly name: string;
  readonly modelVersion?: string;
  readonly fit: AddOptions['fit'];
  readonly steady?: boolean;
  readonly float16?: boolean;
  readonly picture?: string;
  readonly out: string;
  readonly json?: boolean;
  readonly set: ReadonlyMap<string, readonly number[]>;
  readonly state: ReadonlyMap<string, string>;
}

/** Options that mean something only beside another one. */
const NEEDED: Readonly<Record<string, string>> = {
  boxScores: 'boxes',
  boxClasses: 'boxes',
  boxFormat: 'boxes',
  boxUnit: 'boxes',
  minScore: 'boxes',
  tileOverlap: 'tile',
  contextFrames: 'state',
};
/** Options that mean nothing beside another one. */
const EXCLUDED: Readonly<Record<string, string>> = { top: 'boxes', softmax: 'boxes' };

/** Throws USAGE for an option that would be ignored. */
function refuseWithoutEffect(command: Command): void {
  const isGiven = (name: string): boolean => command.getOptionValueSource(name) === 'cli';
  for (const [name, other] of Object.entries(NEEDED))
    if (isGiven(name) && !isGiven(other))
      throw new PermanentError('USAGE', `${flagOf(name)} has no effect without ${flagOf(other)}.`, {
        hint: `Add ${flagOf(other)}, or leave out ${flagOf(name)}.`,
      });
  for (const [name, other] of Object.entries(EXCLUDED))
    if (isGiven(name) && isGiven(other))
      throw new PermanentError('USAGE', `${flagOf(name)} has no effect with ${flagOf(other)}.`, {
        hint: `Leave out ${flagOf(name)}.`,
      });
}

/** `boxScores` is `--box-scores`. */
function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

type Boxes = NonNullable<FormatAnswers['boxes']>;

/** Throws USAGE. */
function boxesOf({
  boxes = '',
  boxScores,
  boxClasses,
  boxFormat,
  boxUnit,
  minScore,
}: Partial<Pick<AddValues, 'boxes' | 'boxScores' | 'boxClasses'>> &
  Pick<AddValues, 'boxFormat' | 'boxUnit' | 'minScore'>): Boxes {
  if (boxScores === undefined)
    throw new PermanentError('USAGE', '--boxes needs the scores of the boxes.', {
      hint: 'Add --box-scores OUTPUT.',
    });
  const classes = boxClasses === undefined ? {} : { classes: boxClasses };
  return { boxes, scores: boxScores, ...classes, format: boxFormat, unit: boxUnit, scoreMin: minScore };
}

export function parseModelName(text: string): string {
  if (NAME_PATTERN.test(text)) return text;
  throw new InvalidArgumentError('Expected lower-case letters, digits and dashes, such as candy.');
}
