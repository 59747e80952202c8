/** What may come next on a command line that starts with `framefleet`: a command, or what the description of the command offers. */
import { type Completions, completionsOf } from '../../../shared/command/completion.ts';
import { inspectCommand } from '../../../shared/command/parse-command.ts';
import { quoteCommands } from '../../../shared/runtime/quote-commands.ts';
import { COMMAND_GROUPS, type ProjectCommand, SHARED_PROGRAMS, findCommand } from '../commands.ts';

/** A line that stands for the names of files: no word of a command line contains it. */
const FILES = ':files';
/** The command that names another one, and the options that need none. */
const WITHOUT_COMMAND = [
  { name: 'help', summary: 'print the help of a command' },
  { name: '--help', summary: 'list all commands' },
  { name: '--version', summary: 'print the version' },
];

/** `words` are those behind `framefleet`; the last one is to be completed. */
export async function linesFor(words: readonly string[]): Promise<readonly string[]> {
  const [first = '', ...rest] = words;
  const commands = COMMAND_GROUPS.flatMap((group) => group.commands);
  if (rest.length === 0) return namesStartingWith(first, [...commands, ...WITHOUT_COMMAND]);
  if (first === 'help') return rest.length === 1 ? namesStartingWith(rest[0] ?? '', commands) : [];
  const named = findCommand(first);
  const found = named === undefined ? null : await completionsFor(named, rest);
  if (found === null) return [];
  const more =
    found.also === 'jobs' ? await newestJobIds(rest.at(-1) ?? '') : found.also === 'files' ? [FILES] : [];
  return [...found.words.map(({ word, summary }) => lineOf(word, summary)), ...more];
}

function namesStartingWith(
  start: string,
  all: readonly Pick<ProjectCommand, 'name' | 'summary'>[],
): readonly string[] {
  return all
    .filter(({ name }) => name.startsWith(start) && (start !== '' || !name.startsWith('-')))
    .map(({ name, summary }) => lineOf(name, summary));
}

async function completionsFor(
  { name, program, parser }: ProjectCommand,
  words: readonly string[],
): Promise<Completions | null> {
  if (parser === null) return null;
  const [file, parserName] = parser;
  const module = (await import(fileOf(file))) as Readonly<Record<string, (...given: unknown[]) => unknown>>;
  // A program that runs several commands takes the name of one first. Others may take the default of --author.
  const given = SHARED_PROGRAMS.has(program) ? [name, []] : [[], 'you'];
  const command = inspectCommand(() => module[parserName]?.(...given));
  return command === undefined ? null : completionsOf(command, words);
}

/** The modules behind it are loaded only here: they take longer than everything else. */
async function newestJobIds(start: string): Promise<readonly string[]> {
  const { newestLocalJobs } = (await import(fileOf('producer/cli/jobs/newest-local-jobs.ts'))) as {
    readonly newestLocalJobs: (start: string) => Promise<readonly string[]>;
  };
  return newestLocalJobs(start);
}

function fileOf(name: string): string {
  return new URL(`../../../${name}`, import.meta.url).href;
}

function lineOf(word: string, summary: string): string {
  return `${word}\t${quoteCommands(summary)}`;
}
