import { afterEach, expect, test, vi } from 'vitest';

import { parseEnqueueOptions } from '../../producer/cli/enqueue/options.ts';
import { EXIT, PermanentError } from '../../shared/runtime/errors.ts';

afterEach(() => vi.restoreAllMocks());

test('enqueue uses the defaults for a video without options', () => {
  expect(parseEnqueueOptions(['holiday.mp4'])).toEqual({
    videoPath: 'holiday.mp4',
    settings: {
      model: { name: 'painter' },
      parameters: {},
      priority: 'normal',
      onFailedFrame: 'keep-original',
    },
    outputPath: undefined,
    mayReplace: false,
    deadline: undefined,
    asJson: false,
    isDetached: false,
    checksFleet: true,
    isStored: false,
    estimate: 'none',
  });
});

test('enqueue accepts every option before or after the video', () => {
  const options =
    '--style starry-night:2,candy:1 --model other@2.1 --batch 12 --out b/ --priority high'.split(' ');
  const more =
    '--on-failed-frame repeat-previous --max-failed-frames 12 --max-cost 2.50 --deadline 2h --force --json --no-doctor'.split(
      ' ',
    );
  const expected = {
    videoPath: 'a.mp4',
    settings: {
      model: { name: 'other', version: '2.1' },
      parameters: { style: 'starry-night:2,candy:1' },
      batchSize: 12,
      priority: 'high',
      onFailedFrame: 'repeat-previous',
      failedFramesMax: { frames: 12 },
      spendingMax: 2.5,
    },
    outputPath: 'b/',
    mayReplace: true,
    deadline: { afterMs: 7_200_000 },
    asJson: true,
    isDetached: false,
    checksFleet: false,
    isStored: false,
    estimate: 'none',
  };
  expect(parseEnqueueOptions([...options, ...more, 'a.mp4'])).toEqual(expected);
  expect(parseEnqueueOptions(['a.mp4', ...options, ...more])).toEqual(expected);
});

test('--detach writes no result, so that it takes no place for one', () => {
  expect(parseEnqueueOptions(['a.mp4', '--detach'])).toMatchObject({ isDetached: true });
  for (const flags of [['--out', 'b/'], ['--force']])
    expect(() => parseEnqueueOptions(['a.mp4', '--detach', ...flags])).toThrow('cannot be used with option');
});

test('after --, the video may have a name that starts with a dash or looks like an option', () => {
  expect(parseEnqueueOptions(['--', '-odd-name.mp4'])?.videoPath).toBe('-odd-name.mp4');
  expect(parseEnqueueOptions(['--json', '--', '--help'])).toMatchObject({
    videoPath: '--help',
    asJson: true,
  });
});

test.each([
  ['0', { frames: 0 }],
  ['250', { frames: 250 }],
  ['0%', { percent: 0 }],
  ['2.5%', { percent: 2.5 }],
  ['100%', { percent: 100 }],
])('--max-failed-frames accepts %s', (text, failedFramesMax) => {
  expect(parseEnqueueOptions(['a.mp4', '--max-failed-frames', text])).toMatchObject({
    settings: { failedFramesMax },
  });
});

test.each(['0', '-1', 'five', '1e12', ''])('--max-cost rejects %j', (amount) => {
  expect(() => parseEnqueueOptions(['a.mp4', '--max-cost', amount])).toThrow(PermanentError);
});

test.each([
  ['90m', { afterMs: 5_400_000 }],
  ['2026-12-01T18:00Z', { at: '2026-12-01T18:00:00.000Z' }],
  ['2026-12-01T18:00:00+01:00', { at: '2026-12-01T17:00:00.000Z' }],
])('--deadline accepts %s', (text, deadline) => {
  expect(parseEnqueueOptions(['a.mp4', '--deadline', text])).toMatchObject({ deadline });
});

test.each(['0h', '2', 'soon', '2026-13-01T18:00Z', '18:00'])('--deadline rejects %s', (text) => {
  expect(() => parseEnqueueOptions(['a.mp4', '--deadline', text])).toThrow(PermanentError);
});

test.each(['1', '512'])('--batch accepts %s frames', (frames) => {
  expect(parseEnqueueOptions(['a.mp4', '--batch', frames])?.settings.batchSize).toBe(Number(frames));
});

const REFUSED: readonly (readonly [why: string, argv: readonly string[], named: string])[] = [
  ['no video', [], 'video'],
  ['two videos', ['a.mp4', 'b.mp4'], '2'],
  ['an unknown option', ['a.mp4', '--stile', 'candy'], '--stile'],
  ['a file name that starts with a dash', ['-odd-name.mp4'], '-odd-name.mp4'],
  ['a style without a value', ['a.mp4', '--style'], '--style'],
  ['an unknown priority', ['a.mp4', '--priority', 'urgent'], 'low, normal, high'],
  ['an unknown policy', ['a.mp4', '--on-failed-frame', 'skip'], 'repeat-previous'],
];
const BAD_BATCHES = ['0', '513', '-1', '1.5', 'many', ''];
const BAD_FAILED_MAX = ['-1', '1.5', '101%', '5 %', '%', 'few', ''];
const BAD_MODELS = ['Painter', 'a/b', '../a', '@1', 'a@', 'a@1@2'];

test.each([
  ...REFUSED,
  ...BAD_BATCHES.map((batch) => ['an invalid batch', ['a.mp4', '--batch', batch], '1 to 512'] as const),
  ...BAD_FAILED_MAX.map(
    (max) => ['an invalid limit of failed frames', ['a.mp4', '--max-failed-frames', max], '5%'] as const,
  ),
  ...BAD_MODELS.map((model) => ['an invalid model', ['a.mp4', '--model', model], 'painter@1'] as const),
])('enqueue rejects %s: %j', (_, argv, named) => {
  const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const parse = () => parseEnqueueOptions(argv);
  expect(parse).toThrow(PermanentError);
  expect(parse).toThrow(
    expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(named) as string }),
  );
  expect(stderr).not.toHaveBeenCalled();
});

test.each([
  [['a.mp4', '--frob'], "Unknown option '--frob'."],
  [['a.mp4', '--bacth', '5'], "Unknown option '--bacth'. Did you mean --batch?"],
  [['a.mp4', '--batch', '0'], "Invalid value '0' for --batch. Expected a whole number from 1 to 512."],
  [['a.mp4', '--out'], 'Option --out needs a value.'],
])('a usage error is a sentence: %j', (argv, message) => {
  expect(() => parseEnqueueOptions(argv)).toThrow(expect.objectContaining({ message }) as Error);
});

test('the hint for a file name that starts with a dash shows how to pass it', () => {
  expect(() => parseEnqueueOptions(['-odd-name.mp4'])).toThrow(
    expect.objectContaining({
      hint: 'If -odd-name.mp4 is a file, put -- before its name: npm run enqueue -- -- -odd-name.mp4',
    }) as Error,
  );
});

test.each(['--help', '-h'])('%s prints every option and exit status on standard output', (help) => {
  const stdout = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  expect(parseEnqueueOptions([help])).toBeNull();
  const printed = stdout.mock.calls.map(([text]) => String(text)).join('');
  const options =
    '--style --model --batch --out --priority --on-failed-frame --max-failed-frames --json --detach'.split(
      ' ',
    );
  for (const option of options) expect(printed).toContain(`  ${option}`);
  const exits = printed.slice(printed.indexOf('Exit status:'));
  // A missing permission is reported by the commands that need the scaler.
  const statuses = new Set(Object.values(EXIT).filter((status) => status !== EXIT.noPermission));
  for (const status of statuses) expect(exits).toMatch(new RegExp(`\\s${status} `));
});

test.each([
  [['--estimate-first'], 'asks'],
  [['--estimate-first', '--yes'], 'prints'],
  [['--estimate-first', '--json'], 'asks'],
  [['--yes'], 'none'],
] as const)('enqueue %j has an estimate that %s', (options, estimate) => {
  expect(parseEnqueueOptions(['a.mp4', ...options])).toMatchObject({ estimate });
});
