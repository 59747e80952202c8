/** Commander, with our words for what cannot be understood. */
import { type Command, CommanderError } from 'commander';

import { PermanentError } from '../../shared/runtime/errors.ts';

/** False where help was asked for and printed. Throws USAGE. */
export function parseCommand(command: Command, argv: readonly string[], hint: string): boolean {
  command.exitOverride().configureOutput({ writeErr: () => undefined });
  try {
    command.parse(argv, { from: 'user' });
    return true;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === 'commander.helpDisplayed') return false;
    throw new PermanentError('USAGE', sentence(error.message), { hint, cause: error });
  }
}

/** Commander's message as a sentence. */
function sentence(message: string): string {
  const text = message.replace(/^error: /, '').replace(/\.?$/, '.');
  return text.charAt(0).toUpperCase() + text.slice(1);
}
