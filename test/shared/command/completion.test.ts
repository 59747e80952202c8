/** What may come next on a command line, from its description by commander. */
import { Argument, Option } from 'commander';
import { describe, expect, test } from 'vitest';

import { completionsOf } from '../../../shared/command/completion.ts';
import { inspectCommand, newCommand, parseCommand } from '../../../shared/command/parse-command.ts';

const LEVELS = ['low', 'normal', 'high'];

const flat = newCommand('npm run paint')
  .argument('<video>', 'path')
  .argument('[note]', 'a note')
  .option('--out <path>', 'where to write')
  .option('--job <id>', 'a job')
  .option('--crf <n>', 'quality')
  .option('-f, --force', 'replace files')
  .addOption(new Option('--level <level>', 'how much').choices(LEVELS))
  .addOption(new Option('--states <states...>', 'only these').choices(['open', 'ended']))
  .addOption(new Option('--secret', 'not shown').hideHelp());

const nested = newCommand('npm run shelf').option('--verbose', 'say more');
nested.command('put').description('put a job').argument('<job>', 'its id').option('--all', 'everything');
nested.command('rank').argument('<job>', 'its id').addArgument(new Argument('<level>').choices(LEVELS));
nested.command('hide', { hidden: true });

const OPTIONS = ['--out', '--job', '--crf', '--force', '--level', '--states', '--help'];

function offered(command: typeof flat, line: string): readonly string[] {
  const { words, also } = completionsOf(command, line.split(' '));
  return [...words.map(({ word }) => word), ...(also === null ? [] : [`:${also}`])];
}

describe('an argument', () => {
  test.each([
    ['that is a path', '', [':files']],
    ['that is a path, in part', 'hol', [':files']],
    ['without choices: the options', 'video.mp4 ', OPTIONS],
    ['in part, without choices', 'video.mp4 no', []],
    ['after options and their values', '--level high --force ', [':files']],
    ['after --', '-- ', [':files']],
    ['after --, although it starts with a dash', '-- -', [':files']],
    ['beyond the last one', 'video.mp4 note ', OPTIONS],
  ])('%s', (_, line, words) => {
    expect(offered(flat, line)).toEqual(words);
  });
});

describe('an option', () => {
  test.each([
    ['of which a dash is typed', '-', OPTIONS],
    ['in part', '--f', ['--force']],
    ['in the middle of the line', 'video.mp4 --le', ['--level']],
    ['that does not exist', '--zzz', []],
  ])('%s', (_, line, words) => {
    expect(offered(flat, line)).toEqual(words);
  });

  test('has its description as summary', () => {
    expect(completionsOf(flat, ['--forc']).words).toEqual([{ word: '--force', summary: 'replace files' }]);
  });
});

describe('a value', () => {
  test.each([
    ['with choices', '--level ', LEVELS],
    ['with choices, in part', '--level h', ['high']],
    ['with choices, behind an equals sign', '--level=h', ['--level=high']],
    ['with choices, as bash takes it apart', '--level = h', ['high']],
    ['with choices, as bash takes it apart, before its first letter', '--level =', LEVELS],
    ['of a list', '--states open ', ['open', 'ended']],
    ['that is a path', '--out ', [':files']],
    ['that is a job', '--job ', [':jobs']],
    ['that is free: nothing', '--crf ', []],
    ['after one that was given with an equals sign', '--level=high ', [':files']],
  ])('%s', (_, line, words) => {
    expect(offered(flat, line)).toEqual(words);
  });
});

describe('an action', () => {
  test.each([
    ['at the start', '', ['put', 'rank', 'help']],
    ['in part', 'r', ['rank']],
    ['after an option', '--verbose p', ['put']],
    ['has arguments of its own', 'put ', [':jobs']],
    ['has options of its own', 'put --', ['--all', '--help']],
    ['has choices for a later argument', 'rank some-job ', LEVELS],
    ['is only the first word', 'put put ', ['--all', '--help']],
  ])('%s', (_, line, words) => {
    expect(offered(nested, line)).toEqual(words);
  });
});

test('inspectCommand() gives the description that a function parses, and parses nothing', () => {
  const parse = () => parseCommand(flat, ['--no-such-option']);
  expect(inspectCommand(parse)).toBe(flat);
  expect(parse).toThrow(/no-such-option/);
  expect(inspectCommand(() => undefined)).toBeUndefined();
});
