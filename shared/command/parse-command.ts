/** Commander, with our words for what cannot be understood. */
import { Command, CommanderError } from 'commander';

import { PermanentError } from '../runtime/errors.ts';

/** To be told its options, and then to `parseCommand`. Its subcommands take after it. */
export function newCommand(name: string): Command {
  return new Command(name).exitOverride().configureOutput({ writeErr: () => undefined });
}

/** False where help was asked for and printed. Throws USAGE. */
export function parseCommand(command: Command, argv: readonly string[], hint: string): boolean {
  try {
    command.parse(argv, { from: 'user' });
    return true;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return false;
    // No subcommand is named: commander would print its help for that.
    const message = error.code === 'commander.help' ? 'No action given' : error.message;
    throw new PermanentError('USAGE', sentence(message), { hint, cause: error });
  }
}

/** Commander's message as a sentence. */
function sentence(message: string): string {
  const text = message.replace(/^error: /, '').replace(/\.?$/, '.');
  return text.charAt(0).toUpperCase() + text.slice(1);
}
