/** The words that complete a line behind `framefleet`: every command is described by the options that it really has. */
import { describe, expect, test } from 'vitest';

import { COMMAND_GROUPS } from '../../infra/bin/commands.ts';
import { linesFor } from '../../infra/bin/completion/words.ts';

const commands = COMMAND_GROUPS.flatMap((group) => group.commands);
const wordsFor = async (...words: string[]): Promise<readonly string[]> =>
  (await linesFor(words)).map((line) => line.split('\t')[0] ?? '');

test('every command is offered, with its summary', async () => {
  const lines = await linesFor(['']);
  for (const { name, summary } of commands) expect(lines).toContain(`${name}\t${summary}`);
  expect(await wordsFor('sta')).toEqual(['status', 'start']);
  expect(await wordsFor('--')).toEqual(['--help', '--version']);
  expect(await wordsFor('help', 'sta')).toEqual(['status', 'start']);
});

describe('each command with a command line', () => {
  test.each(commands.filter(({ parser }) => parser !== null).map(({ name }) => name))(
    '%s offers its options',
    async (name) => {
      expect(await wordsFor(name, '--')).toContain('--help');
    },
  );
});

test.each([
  ['the file of a job', ['enqueue', ''], [':files']],
  ['choices of an option', ['enqueue', 'video.mp4', '--priority', 'h'], ['high']],
  ['options of jobs', ['jobs', '--se'], ['--search']],
  ['actions', ['share', 'o'], ['open']],
  ['options of an action, which enqueue has, too', ['share', 'open', 'acme', '--max-co'], ['--max-cost']],
  ['choices of an argument', ['priority', '20261123-061502-harbour-9f3a1c', 'n'], ['normal']],
  ['a file of an action', ['model', 'learn', ''], [':files']],
  ['shells', ['completion', ''], ['bash', 'zsh']],
  ['nothing for a command without options', ['start', ''], []],
  ['nothing for an unknown command', ['enqeue', ''], []],
  ['nothing behind the help of a command', ['help', 'enqueue', ''], []],
] as const)('completes %s', async (_, words, expected) => {
  expect(await wordsFor(...words)).toEqual(expected);
});

test('a summary is one line without a tab', async () => {
  const lines = (await Promise.all(commands.map(({ name }) => linesFor([name, '--'])))).flat();
  expect(lines.length).toBeGreaterThan(50);
  expect(lines.filter((line) => line.split('\n').length > 1 || line.split('\t').length !== 2)).toEqual([]);
});
