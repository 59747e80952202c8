/** The end of a command's help: examples, notes and exit statuses, in one form for all commands. PURE. */
import { Help } from 'commander';

import { quoteCommands } from '../runtime/quote-commands.ts';

const COLUMNS = 80;

/** Exit statuses that mean the same in every command. */
const MEANINGS = {
  0: 'success',
  64: 'the command line or the configuration is not valid',
  65: 'the input is not valid',
  66: 'the input does not exist',
  69: 'a service or program is not available',
  70: 'an internal error',
  73: 'the output cannot be written or already exists',
  77: 'permission denied',
  130: 'interrupted',
} as const;

export interface HelpText {
  /** Command lines, each followed by spaces and a note if it needs one. */
  readonly examples: readonly string[];
  /** Full sentences, a paragraph each. */
  readonly notes: readonly string[];
  /** The statuses of this command: with its own meaning, or true for the common one. */
  readonly exits: Readonly<Record<number, string | true>>;
}

/** Breaks lines after the commands have the form in which they are printed. */
export function wrapped(text: string, columns: number): string {
  return new Help().boxWrap(quoteCommands(text), columns);
}

export function helpText({ examples, notes, exits }: HelpText): string {
  const statuses = Object.entries(exits).map(([status, meaning]) => {
    const common: Readonly<Record<string, string>> = MEANINGS;
    return `  ${status.padStart(3)}  ${meaning === true ? (common[status] ?? '') : meaning}`;
  });
  return [
    '',
    'Examples:',
    ...examples.map((example) => `  ${example}`),
    '',
    ...notes.flatMap((note) => [wrapped(note, COLUMNS), '']),
    'Exit status:',
    ...statuses,
  ].join('\n');
}
