/** Parses the command line of `npm run model`. */
import { InvalidArgumentError, Option } from 'commander';

import { helpText } from '../../../shared/command/help-text.ts';
import { newCommand, parseCommand } from '../../../shared/command/parse-command.ts';
import { NAME_PATTERN } from '../../../shared/contract/blob-names.ts';
import { CHANNEL_ORDERS, type FormatAnswers, RANGES } from '../../import/format.ts';
import { LAYOUTS } from '../../import/picture-shape.ts';

const FITS = ['stretch', 'letterbox'] as const;

const HELP = helpText({
  examples: [
    'npm run model -- add candy.onnx --name candy',
    'npm run model -- add pix2pix.onnx --name pix2pix --range -1..1 --fit letterbox',
    'npm run model -- add squeezenet.onnx --name squeezenet --labels labels.txt --softmax --range 0..1 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225',
    'npm run model -- test candy --picture photo.jpg',
    'npm run model -- list',
    'npm run enqueue -- video.mp4 --model candy',
  ],
  notes: [
    'add wraps the graph, so that it takes and returns frames as they are: layout, order of channels, range of values and float16 become operators of the graph. It runs the model on a picture, before it is published, and leaves the result beside it to look at.',
    'A model that returns numbers (a classifier, an embedding) gives a line of JSON for each frame in place of a video.',
    'A published version never changes: add a changed model with another --model-version.',
    'Without FRAMEFLEET_MEDIA_STORAGE and FRAMEFLEET_SYSTEM_STORAGE it uses the local fleet of this folder (npm start).',
  ],
  exits: {
    0: true,
    64: true,
    65: 'the model does not exist, cannot be used, or needs more options',
    69: true,
    70: true,
  },
});

interface AddOptions {
  readonly verb: 'add';
  readonly file: string;
  readonly name: string;
  readonly version: string | null;
  readonly fit: (typeof FITS)[number];
  readonly isSteady: boolean;
  readonly picture: string | null;
  readonly out: string;
  /** A file with the names of the classes. */
  readonly labels: string | null;
  readonly answers: FormatAnswers;
}

export type ModelOptions = { readonly asJson: boolean } & (
  | AddOptions
  | { readonly verb: 'list' }
  | { readonly verb: 'show'; readonly name: string; readonly version: string | null }
  | { readonly verb: 'remove'; readonly name: string; readonly version: string | null }
  | {
      readonly verb: 'test';
      readonly name: string;
      readonly version: string | null;
      readonly picture: string | null;
      readonly out: string;
    }
);

/** Returns null if the user asked for help, which is then printed. Throws USAGE. */
export function parseModelOptions(argv: readonly string[]): ModelOptions | null {
  let options: ModelOptions | undefined;
  const program = newCommand('npm run model')
    .usage('-- add|list|show|test|remove [options]')
    .description('Adds models of your own to a fleet, and looks after them.')
    .commandsGroup('Actions:')
    .helpCommand('help [action]', 'print the help of an action')
    .addHelpText('after', HELP);
  program
    .command('add')
    .description(
      'check, wrap, try and publish an ONNX model that takes a picture and returns a picture or numbers',
    )
    .argument('<file>', 'the ONNX file')
    .requiredOption(
      '--name <name>',
      'name of the model in the fleet: lower-case letters, digits and dashes',
      parseName,
    )
    .option('--model-version <version>', 'version (default: one more than the newest)', parseName)
    .addOption(new Option('--range <range>', 'values of black and white in the input').choices(RANGES))
    .addOption(
      new Option('--channels <order>', 'order of the channels (default: rgb)').choices(CHANNEL_ORDERS),
    )
    .option(
      '--mean <numbers>',
      'mean that is subtracted, in units of the range, one or one a channel',
      parseNumbers,
    )
    .option('--std <numbers>', 'deviation that the rest is divided by', parseNumbers)
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
    .option('--numbers', 'the output is numbers, although it looks like a picture')
    .option('--labels <file>', 'names of the classes, one a line: the output is a score for each of them')
    .option('--top <n>', 'how many of the best classes to report (default: 5)', parseTop)
    .option('--softmax', 'the scores are logits: report probabilities')
    .option('--input <name>', 'input that takes the picture, if there are several')
    .option('--output <name>', 'output to use, if there are several (default for numbers: all)')
    .option(
      '--set <name=numbers>',
      'value of another input, for all frames; can be repeated',
      collectValues,
      new Map(),
    )
    .option('--picture <file>', 'picture to try the model on (default: a frame of the sample video)')
    .option('--out <folder>', 'folder for the result of the trial', '.')
    .option('--json', 'print one JSON object')
    .action((file: string, values: AddValues) => {
      const { name, modelVersion, fit, steady = false, picture, out, json, set, labels, ...answers } = values;
      options = {
        verb: 'add',
        file,
        name,
        fit,
        isSteady: steady,
        out,
        version: modelVersion ?? null,
        picture: picture ?? null,
        labels: labels ?? null,
        answers: { ...answers, values: set },
        asJson: json ?? false,
      };
    });
  program
    .command('list')
    .description('list the published models')
    .option('--json', 'print one JSON object')
    .action(({ json = false }: { json?: boolean }) => {
      options = { verb: 'list', asJson: json };
    });
  for (const [verb, description] of [
    ['show', 'print the manifest of a model'],
    ['remove', 'remove a version of a model; jobs that still use it fail'],
  ] as const)
    program
      .command(verb)
      .description(description)
      .argument('<name>', 'model, as printed by list', parseName)
      .argument('[version]', 'version (default: the newest)', parseName)
      .option('--json', 'print one JSON object')
      .action((name: string, version: string | undefined, { json = false }: { json?: boolean }) => {
        options = { verb, name, version: version ?? null, asJson: json };
      });
  program
    .command('test')
    .description('run a published model on a picture, and leave the result to look at')
    .argument('<name>', 'model, as printed by list', parseName)
    .argument('[version]', 'version (default: the newest)', parseName)
    .option('--picture <file>', 'picture to run the model on (default: a frame of the sample video)')
    .option('--out <folder>', 'folder for the result', '.')
    .option('--json', 'print one JSON object')
    .action(
      (
        name: string,
        version: string | undefined,
        values: { picture?: string; out: string; json?: boolean },
      ) => {
        const { picture = null, out, json = false } = values;
        options = { verb: 'test', name, version: version ?? null, picture, out, asJson: json };
      },
    );
  if (!parseCommand(program, argv)) return null;
  return options ?? null;
}

interface AddValues extends Omit<FormatAnswers, 'values' | 'labels'> {
  readonly labels?: string;
  readonly name: string;
  readonly modelVersion?: string;
  readonly fit: AddOptions['fit'];
  readonly steady?: boolean;
  readonly picture?: string;
  readonly out: string;
  readonly json?: boolean;
  readonly set: ReadonlyMap<string, readonly number[]>;
}

function parseName(text: string): string {
  if (NAME_PATTERN.test(text)) return text;
  throw new InvalidArgumentError('Expected lower-case letters, digits and dashes, such as candy.');
}

function parseNumbers(text: string): number[] {
  const values = text.split(',').map(Number);
  if (text.trim() !== '' && values.every(Number.isFinite)) return values;
  throw new InvalidArgumentError('Expected numbers with commas between them, such as 0.485,0.456,0.406.');
}

function parseCount(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 2 && value <= 1024) return value;
  throw new InvalidArgumentError('Expected a whole number from 2 to 1024.');
}

function parseTop(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= 1000) return value;
  throw new InvalidArgumentError('Expected a whole number from 1 to 1000.');
}

function parseSize(text: string): NonNullable<FormatAnswers['size']> {
  const [, width, height] = /^(\d{1,5})x(\d{1,5})$/.exec(text) ?? [];
  if (Number(width) >= 1 && Number(height) >= 1) return { width: Number(width), height: Number(height) };
  throw new InvalidArgumentError('Expected width and height in pixels, such as 224x224.');
}

function collectValues(text: string, before: ReadonlyMap<string, readonly number[]>): Map<string, number[]> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Expected a name and numbers, such as strength=0.5.');
  return new Map([...before, [text.slice(0, at), parseNumbers(text.slice(at + 1))]]) as Map<string, number[]>;
}
