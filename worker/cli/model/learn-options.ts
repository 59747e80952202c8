/** The options of `npm run model -- learn`. */
import { type Command, InvalidArgumentError, Option } from 'commander';

import { parseModelName } from './add-options.ts';

/** A style of a few seconds is a tint; after half an hour nothing improves. */
const MINUTES_MIN = 0.5;
const MINUTES_MAX = 60;
const MINUTES_DEFAULT = 5;
const STEPS_MAX = 100_000;
const TITLE_CHARACTERS_MAX = 100;

export interface LearnOptions {
  readonly verb: 'learn';
  /** The painting: an image file. */
  readonly file: string;
  /** Id of the new style. */
  readonly name: string;
  readonly title: string | null;
  readonly length: { readonly minutes: number } | { readonly steps: number };
  /** A folder of images, an image, or a video. */
  readonly photos: string | null;
  /** What the preview shows in the new style. */
  readonly picture: string | null;
  /** Folder for the preview. */
  readonly out: string;
  readonly version: string | null;
  readonly python: string;
  readonly asJson: boolean;
}

interface LearnValues {
  readonly name: string;
  readonly title?: string;
  readonly minutes: number;
  readonly steps?: number;
  readonly photos?: string;
  readonly picture?: string;
  readonly out: string;
  readonly modelVersion?: string;
  readonly python: string;
  readonly json?: boolean;
}

/** `onParsed` receives the options when the command is used. */
export function addLearnCommand(program: Command, onParsed: (options: LearnOptions) => void): void {
  program
    .command('learn')
    .description('teach the painter, the default model, one more style from one picture, and publish it')
    .argument('<picture>', 'image of a painting: JPEG, PNG, WebP, TIFF or AVIF')
    .requiredOption(
      '--name <name>',
      'name of the new style: lower-case letters, digits and dashes',
      parseModelName,
    )
    .option('--title <title>', 'title of the style, for people', parseTitle)
    .option('--minutes <n>', 'how long to train', parseMinutes, MINUTES_DEFAULT)
    .addOption(new Option('--steps <n>', 'train this many steps instead').argParser(parseSteps).hideHelp())
    .option(
      '--photos <path>',
      'scenes to paint while it learns: a folder of photos, or a video (default: the sample video). Your own footage makes the style fit it better',
    )
    .option(
      '--picture <file>',
      'picture that the preview shows in the new style (default: a frame of the sample video)',
    )
    .addOption(new Option('--out <folder>', 'folder for the preview').default('.', 'the current folder'))
    .option('--model-version <version>', 'version of the painter (default: the next one)', parseModelName)
    .option('--python <program>', 'a Python with PyTorch', '/usr/bin/python3')
    .option('--json', 'print one JSON object')
    .action((file: string, values: LearnValues) => {
      const { name, title, minutes, steps, photos, picture, out, modelVersion, python, json } = values;
      onParsed({
        verb: 'learn',
        file,
        name,
        title: title ?? null,
        length: steps === undefined ? { minutes } : { steps },
        photos: photos ?? null,
        picture: picture ?? null,
        out,
        version: modelVersion ?? null,
        python,
        asJson: json ?? false,
      });
    });
}

function parseTitle(text: string): string {
  const title = text.trim();
  if (title.length >= 1 && title.length <= TITLE_CHARACTERS_MAX) return title;
  throw new InvalidArgumentError(`Expected a title of 1 to ${TITLE_CHARACTERS_MAX} characters.`);
}

function parseMinutes(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= MINUTES_MIN && value <= MINUTES_MAX) return value;
  throw new InvalidArgumentError(`Expected minutes from ${MINUTES_MIN} to ${MINUTES_MAX}.`);
}

function parseSteps(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= STEPS_MAX) return value;
  throw new InvalidArgumentError(`Expected a whole number from 1 to ${STEPS_MAX}.`);
}
