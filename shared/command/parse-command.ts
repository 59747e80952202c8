/** Commander in the wording of this project: every command has the same form of help and the same usage errors. */
import { Command, CommanderError } from 'commander';

import { PermanentError } from '../runtime/errors.ts';
import { quoteCommands } from '../runtime/quote-commands.ts';
import { wrapped } from './help-text.ts';

/** Commander's sentences, and ours for them. */
const REWORDED: readonly (readonly [pattern: RegExp, wording: string])[] = [
  [/^option '([^' ]+)[^']*' argument '([^]*)' is invalid\./, "Invalid value '$2' for $1."],
  [/^command-argument value '([^]*)' is invalid for argument '(.*)'\./, "Invalid value '$1' for $2."],
  [/^option '([^' ]+)[^']*' argument missing/, 'Option $1 needs a value'],
  [/^unknown command /, 'Unknown action '],
  [/\n\((Did you mean .*)\)$/, '. $1'],
];

/** `name` is how npm runs it: `npm run fetch`. Add options, then call `parseCommand`. Subcommands inherit its settings. */
export function newCommand(name: string): Command {
  return new Command(name)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => process.stdout.write(quoteCommands(text)),
      writeErr: () => undefined,
    })
    .configureHelp({
      boxWrap: wrapped,
      commandUsage: usageOf,
      argumentTerm: (argument) => argument.name().toUpperCase(),
      commandDescription: (command) => sentence(command.description()),
    })
    .helpOption('-h, --help', 'print this help');
}

/** Set while a command is inspected. */
let inspected: ((command: Command) => void) | null = null;

/** The description of the command line that a function would parse with `parseCommand`. Nothing is parsed. Undefined if it parses none. */
export function inspectCommand(parse: () => unknown): Command | undefined {
  let found: Command | undefined;
  inspected = (command) => (found = command);
  try {
    parse();
  } finally {
    inspected = null;
  }
  return found;
}

/** Returns false if the user asked for help, which is then printed. Throws USAGE. */
export function parseCommand(command: Command, argv: readonly string[], hint?: string): boolean {
  if (inspected !== null) {
    inspected(command);
    return false;
  }
  for (const action of command.commands)
    action.addHelpText('after', `\nFor examples and exit statuses: ${command.name()} -- --help`);
  try {
    command.parse(argv, { from: 'user' });
    return true;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return false;
    // Commander would print its help where the action is missing.
    const message = error.code === 'commander.help' ? 'No action given' : error.message;
    const action = command.commands.find((one) => one.name() === argv[0]);
    throw new PermanentError('USAGE', sentence(message), {
      hint: hint ?? usageHint(action ?? command),
      cause: error,
    });
  }
}

export function usageHint(command: Command): string {
  const { parent } = command;
  const name = parent === null ? `${command.name()} --` : `${parent.name()} -- ${command.name()}`;
  return `Usage: ${usageOf(command)}. For help: ${name} --help`;
}

/** npm needs `--` before an action, so that it passes on the options behind it. */
function usageOf(command: Command): string {
  const name = command.parent === null ? command.name() : `${command.parent.name()} -- ${command.name()}`;
  return `${name} ${command.usage().replace(/<([\w-]+)>/g, (_, argument: string) => argument.toUpperCase())}`;
}

function sentence(message: string): string {
  const reworded = REWORDED.reduce(
    (text, [pattern, wording]) => text.replace(pattern, wording),
    message.replace(/^error: /, ''),
  );
  const text = /[.?]$/.test(reworded) ? reworded : `${reworded}.`;
  return text.charAt(0).toUpperCase() + text.slice(1);
}
