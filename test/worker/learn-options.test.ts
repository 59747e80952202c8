import { expect, test } from 'vitest';

import { nextStyleVersion } from '../../worker/cli/model/learn.ts';
import { parseModelOptions } from '../../worker/cli/model/options.ts';

test('learn has defaults for all but the picture and the name', () => {
  expect(parseModelOptions(['learn', 'scream.jpg', '--name', 'scream'])).toEqual({
    verb: 'learn',
    file: 'scream.jpg',
    name: 'scream',
    title: null,
    length: { minutes: 5 },
    photos: null,
    picture: null,
    out: '.',
    version: null,
    python: '/usr/bin/python3',
    asJson: false,
  });
});

test('learn takes options', () => {
  const given = [
    '--title',
    ' The Scream ',
    '--minutes',
    '0.5',
    '--photos',
    'film.mp4',
    '--model-version',
    '7',
  ];
  expect(parseModelOptions(['learn', 'a.png', '--name', 'a', ...given, '--json'])).toMatchObject({
    title: 'The Scream',
    length: { minutes: 0.5 },
    photos: 'film.mp4',
    version: '7',
    asJson: true,
  });
  expect(parseModelOptions(['learn', 'a.png', '--name', 'a', '--steps', '3'])).toMatchObject({
    length: { steps: 3 },
  });
});

test.each([
  [['a.png'], "required option '--name <name>' not specified"],
  [['--name', 'a'], 'missing required argument'],
  [['a.png', '--name', 'My Style'], "Invalid value 'My Style' for --name. Expected lower-case letters"],
  [['a.png', '--name', 'a:2'], "Invalid value 'a:2' for --name."],
  [
    ['a.png', '--name', 'a', '--minutes', '0'],
    "Invalid value '0' for --minutes. Expected minutes from 0.5 to 60.",
  ],
  [['a.png', '--name', 'a', '--minutes', '90'], 'Expected minutes from 0.5 to 60.'],
  [['a.png', '--name', 'a', '--steps', '1.5'], 'Expected a whole number'],
  [['a.png', '--name', 'a', '--title', ' '], 'Expected a title of 1 to 100 characters.'],
])('learn %j is refused', (args, message) => {
  let thrown: unknown;
  try {
    parseModelOptions(['learn', ...args]);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({ code: 'USAGE' });
  expect(String(thrown).toLowerCase()).toContain(message.toLowerCase());
});

test.each([
  ['2', ['1', '2'], '2-1'],
  ['2', ['2', '2-1', '2-9'], '2-10'],
  ['2-1', ['2', '2-1'], '2-2'],
  // Version 2-2 was removed, and a later one is there.
  ['2-1', ['2', '2-1', '2-3'], '2-4'],
  ['3', ['2', '2-1', '3'], '3-1'],
  ['mine', ['mine', 'mine-x'], 'mine-1'],
])('the version after %s, of %j, is %s', (base, versions, next) => {
  expect(nextStyleVersion(base, versions)).toBe(next);
});
