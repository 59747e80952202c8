/**
 * What may come next on a command line: actions, options and values, from the description that commander parses it with. PURE.
 *
 * `inspectCommand` in `parse-command.ts` gives the description of a command without running it.
 */
import { type Argument, type Command, Help, type Option } from 'commander';

interface Completion {
  readonly word: string;
  /** A short text for shells that show one. */
  readonly summary: string;
}

export interface Completions {
  readonly words: readonly Completion[];
  /** Names that are not in the description: the caller knows them, or its shell. */
  readonly also: 'files' | 'jobs' | null;
}

const NOTHING: Completions = { words: [], also: null };
/** Placeholders of arguments and values that are names of files or folders. */
const FILE_NAMES = new Set(['path', 'file', 'folder', 'video', 'picture']);

/** `typed` are the words behind the name of the command. The last of them is the one to complete; it may be empty. */
export function completionsOf(command: Command, typed: readonly string[]): Completions {
  const words = joinValues(typed);
  const current = words.at(-1) ?? '';
  const before = readWords(command, words.slice(0, -1));
  return startingWith(current, candidatesFor(before, current));
}

/** The line up to the word to complete. */
interface WordsBefore {
  /** The command, or the action of it that was named. */
  readonly command: Command;
  readonly positionals: number;
  /** The option whose value comes next, or may come next. */
  readonly option: Option | null;
  readonly hasDashes: boolean;
}

function readWords(command: Command, words: readonly string[]): WordsBefore {
  let state: WordsBefore = { command, positionals: 0, option: null, hasDashes: false };
  for (const word of words) state = readWord(state, word);
  return state;
}

function readWord(state: WordsBefore, word: string): WordsBefore {
  if (state.hasDashes) return { ...state, positionals: state.positionals + 1 };
  if (word === '--') return { ...state, option: null, hasDashes: true };
  if (word.startsWith('-')) {
    const option = word.includes('=') ? undefined : findOption(state.command, word);
    return { ...state, option: option !== undefined && takesValue(option) ? option : null };
  }
  if (state.option !== null) return state.option.variadic ? state : { ...state, option: null };
  const action = state.positionals === 0 ? findAction(state.command, word) : undefined;
  if (action !== undefined) return { ...state, command: action };
  return { ...state, positionals: state.positionals + 1 };
}

function candidatesFor(before: WordsBefore, current: string): Completions {
  const { command, positionals, option, hasDashes } = before;
  if (hasDashes) return valuesOf(argumentAt(command, positionals));
  const [, name, value] = /^(--[^=]+)=(.*)$/.exec(current) ?? [];
  if (name !== undefined && value !== undefined) {
    const { words, also } = valuesOf(findOption(command, name));
    const withName = words.map(({ word, summary }) => ({ word: `${name}=${word}`, summary }));
    // A shell completes names of files and jobs only in a word of their own.
    return { words: withName, also: also === 'files' ? null : also };
  }
  if (current.startsWith('-')) return optionsOf(command);
  if (option !== null) return valuesOf(option);
  const next = positionals === 0 && command.commands.length > 0 ? actionsOf(command) : NOTHING;
  const values = valuesOf(argumentAt(command, positionals));
  const found = { words: [...next.words, ...values.words], also: values.also };
  return found.words.length === 0 && found.also === null ? optionsOf(command) : found;
}

function actionsOf(command: Command): Completions {
  const words = new Help()
    .visibleCommands(command)
    .map((action) => ({ word: action.name(), summary: action.description() }));
  return { words, also: null };
}

function optionsOf(command: Command): Completions {
  const words = new Help()
    .visibleOptions(command)
    .map(({ long, description }) => ({ word: long ?? '', summary: description }))
    .filter(({ word }) => word !== '');
  return { words, also: null };
}

function valuesOf(described: Argument | Option | undefined): Completions {
  if (described === undefined) return NOTHING;
  const choices = described.argChoices ?? [];
  if (choices.length > 0) return { words: choices.map((word) => ({ word, summary: '' })), also: null };
  const name = placeholderOf(described);
  const isJob = name === 'job' || ('long' in described && described.long === '--job');
  return { words: [], also: isJob ? 'jobs' : FILE_NAMES.has(name) ? 'files' : null };
}

/** `path` of `--out <path>` and of an argument `[path]`. */
function placeholderOf(described: Argument | Option): string {
  if (!('flags' in described)) return described.name();
  return /[<[]([\w-]+)/.exec(described.flags)?.[1] ?? '';
}

function argumentAt(command: Command, index: number): Argument | undefined {
  const all = command.registeredArguments;
  return all[index] ?? all.findLast(({ variadic }) => variadic);
}

function findAction(command: Command, name: string): Command | undefined {
  return command.commands.find((action) => action.name() === name);
}

function findOption(command: Command, flag: string): Option | undefined {
  return command.options.find(({ long, short }) => flag === long || flag === short);
}

function takesValue({ required, optional }: Option): boolean {
  return required || optional;
}

/** bash takes `--priority=high` apart at the equals sign. Then the value is a word of its own. */
function joinValues(words: readonly string[]): readonly string[] {
  const isSign = (index: number): boolean =>
    words[index] === '=' && words[index - 1]?.startsWith('--') === true;
  const parts = words.filter((_, index) => !isSign(index));
  return words.length > 0 && isSign(words.length - 1) ? [...parts, ''] : parts;
}

function startingWith(start: string, { words, also }: Completions): Completions {
  return { words: words.filter(({ word }) => word.startsWith(start)), also };
}
