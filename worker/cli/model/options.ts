/** Parses the command line of `npm run model`. */
import { Option } from 'commander';

import { helpText } from '../../../shared/command/help-text.ts';
import { newCommand, parseCommand } from '../../../shared/command/parse-command.ts';
import { type AddOptions, addAddCommand, parseModelName } from './add-options.ts';
import { type LearnOptions, addLearnCommand } from './learn-options.ts';

const HELP = helpText({
  examples: [
    'npm run model -- add candy.onnx --name candy',
    'npm run model -- add pix2pix.onnx --name pix2pix --range -1..1 --fit letterbox',
    'npm run model -- add squeezenet.onnx --name squeezenet --labels labels.txt --range 0..1 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225',
    'npm run model -- learn painting.jpg --name my-style',
    'npm run model -- learn painting.jpg --name my-style --photos holiday.mp4 --minutes 10',
    'npm run model -- test candy --picture photo.jpg',
    'npm run model -- list',
    'npm run enqueue -- video.mp4 --model candy',
  ],
  notes: [
    'add wraps the graph, so that it takes and returns frames as they are: layout, order of channels, range of values and float16 become operators of the graph. It runs the model on a picture, before it is published, and leaves the result beside it to look at.',
    'It also makes a second file with float16 arithmetic for workers with GPUs, and says how far that is from float32. By default it is published if it is within one grey level nearly everywhere.',
    'A model that returns numbers (a classifier, an embedding) gives a line of JSON for each frame in place of a video.',
    'learn trains with PyTorch on the CPU. It needs no download, and says how to install what is missing.',
    'A published version never changes: add a changed model with another --model-version.',
    'Without FRAMEFLEET_MEDIA_STORAGE and FRAMEFLEET_SYSTEM_STORAGE models belong to the local fleets of this folder, whether one runs or not.',
  ],
  exits: {
    0: true,
    64: true,
    65: 'the model does not exist, cannot be used, or needs more options',
    66: true,
    69: true,
    70: true,
    73: true,
    130: true,
  },
});

export type ModelOptions = { readonly asJson: boolean } & (
  | Omit<AddOptions, 'asJson'>
  | Omit<LearnOptions, 'asJson'>
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
    .usage('-- add|learn|list|show|test|remove [options]')
    .description('Adds models of your own to a fleet, and looks after them.')
    .commandsGroup('Actions:')
    .helpCommand('help [action]', 'print the help of an action')
    .addHelpText('after', HELP);
  addAddCommand(program, (add) => (options = add));
  addLearnCommand(program, (learn) => (options = learn));
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
      .argument('<name>', 'model, as printed by list', parseModelName)
      .argument('[version]', 'version (default: the newest)', parseModelName)
      .option('--json', 'print one JSON object')
      .action((name: string, version: string | undefined, { json = false }: { json?: boolean }) => {
        options = { verb, name, version: version ?? null, asJson: json };
      });
  program
    .command('test')
    .description('run a published model on a picture, and leave the result to look at')
    .argument('<name>', 'model, as printed by list', parseModelName)
    .argument('[version]', 'version (default: the newest)', parseModelName)
    .option('--picture <file>', 'picture to run the model on (default: a frame of the sample video)')
    .addOption(new Option('--out <folder>', 'folder for the result').default('.', 'the current folder'))
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
