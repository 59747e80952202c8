/** Parses the command line of `npm run verify`. */
import { helpText } from '../../../shared/command/help-text.ts';
import { newCommand, parseCommand } from '../../../shared/command/parse-command.ts';

export interface VerifyOptions {
  readonly sourcePath: string;
  readonly resultPath: string;
  readonly asJson: boolean;
}

const HELP = helpText({
  examples: [
    'npm run verify holiday.mp4 holiday.starry-night.mp4',
    'npm run verify -- holiday.mp4 holiday.starry-night.mp4 --json',
  ],
  notes: [
    'It compares the number of frames, the time of each, the duration, and each packet of the sound, and decodes the result to find damage. What the frames look like is not compared.',
    'A “note” is a difference that a model or a container may cause: another size, colours that are stated differently, sound that is converted without loss.',
    'If the source does not say reliably which frames it has, it is decoded, which takes a while.',
  ],
  exits: {
    0: 'the result matches the source',
    1: 'the result differs from the source',
    64: true,
    65: 'a file is not a video, or is damaged',
    66: 'a file does not exist or cannot be read',
    69: true,
    70: true,
  },
});

/** Returns null if the user asked for help, which is then printed. Throws USAGE. */
export function parseVerifyOptions(argv: readonly string[]): VerifyOptions | null {
  let options: VerifyOptions | undefined;
  const program = newCommand('npm run verify')
    .usage('-- SOURCE RESULT [options]')
    .description('Compares a result with its source: streams, frames, times, duration and sound.')
    .argument('<source>', 'the video that was enqueued')
    .argument('<result>', 'the video that came out')
    .option('--json', 'print one JSON object')
    .addHelpText('after', HELP)
    .action((sourcePath: string, resultPath: string, { json = false }: { json?: boolean }) => {
      options = { sourcePath, resultPath, asJson: json };
    });
  if (!parseCommand(program, argv)) return null;
  return options ?? null;
}
