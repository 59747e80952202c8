/** Parses the command line of `framefleet completion`. */
import { Argument } from 'commander';

import { helpText } from '../../../shared/command/help-text.ts';
import { newCommand, parseCommand } from '../../../shared/command/parse-command.ts';

const SHELLS = ['bash', 'zsh'] as const;
type Shell = (typeof SHELLS)[number];

const HELP = helpText({
  examples: ['npx framefleet completion bash >> ~/.bashrc', 'npx framefleet completion zsh >> ~/.zshrc'],
  notes: [
    'The script completes commands, actions, options and their values after framefleet and npx framefleet, and the ids of jobs of the local fleet of this folder (npm start). It asks this checkout at each key press, so it never gets out of date.',
  ],
  exits: { 0: true, 64: true, 70: true },
});

/** Returns null if the user asked for help, which is then printed. Throws USAGE. */
export function parseCompletionOptions(argv: readonly string[]): { readonly shell: Shell } | null {
  const command = newCommand('npm run completion')
    .usage('-- bash|zsh')
    .description('Prints a script that completes the command lines of framefleet in your shell.')
    .addArgument(new Argument('<shell>', 'the shell that you use').choices(SHELLS))
    .addHelpText('after', HELP);
  if (!parseCommand(command, argv)) return null;
  return { shell: command.args[0] as Shell };
}
