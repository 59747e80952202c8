import { afterEach, expect, test, vi } from 'vitest';

import { parseOptions } from '../../producer/cli/enqueue/options.ts';
import { EXIT, PermanentError } from '../../shared/runtime/errors.ts';

afterEach(() => vi.restoreAllMocks());

test('a video alone is a job with defaults', () => {
  expect(parseOptions(['holiday.mp4'])).toEqual({
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
    looksFirst: true,
  });
});

test('everything that can be said is heard, before the video or behind it', () => {
  const options =
    '--style starry-night:2,udnie:1 --model other@2.1 --batch 12 --out b/ --priority high'.split(' ');
  const more =
    '--on-failed-frame repeat-previous --max-failed-frames 12 --max-cost 2.50 --deadline 2h --force --json --detach --no-doctor'.split(
      ' ',
    );
  const expected = {
    videoPath: 'a.mp4',
    settings: {
      model: { name: 'other', version: '2.1' },
      parameters: { style: 'starry-night:2,udnie:1' },
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
    isDetached: true,
    looksFirst: false,
  };
  expect(parseOptions([...options, ...more, 'a.mp4'])).toEqual(expected);
  expect(parseOptions(['a.mp4', ...options, ...more])).toEqual(expected);
});

test('behind -- a name may begin with a dash, and look like an option', () => {
  expect(parseOptions(['--', '-odd-name.mp4'])?.videoPath).toBe('-odd-name.mp4');
  expect(parseOptions(['--json', '--', '--help'])).toMatchObject({ videoPath: '--help', asJson: true });
});

test.each([
  ['0', { frames: 0 }],
  ['250', { frames: 250 }],
  ['0%', { percent: 0 }],
  ['2.5%', { percent: 2.5 }],
  ['100%', { percent: 100 }],
])('%s failed frames may be the most', (text, failedFramesMax) => {
  expect(parseOptions(['a.mp4', '--max-failed-frames', text])).toMatchObject({
    settings: { failedFramesMax },
  });
});

test.each(['0', '-1', 'five', '1e12', ''])('a job may not cost %j', (amount) => {
  expect(() => parseOptions(['a.mp4', '--max-cost', amount])).toThrow(PermanentError);
});

test.each([
  ['90m', { afterMs: 5_400_000 }],
  ['2026-12-01T18:00Z', { at: '2026-12-01T18:00:00.000Z' }],
  ['2026-12-01T18:00:00+01:00', { at: '2026-12-01T17:00:00.000Z' }],
])('a job may be due %s', (text, deadline) => {
  expect(parseOptions(['a.mp4', '--deadline', text])).toMatchObject({ deadline });
});

test.each(['0h', '2', 'soon', '2026-13-01T18:00Z', '18:00'])('a job cannot be due %s', (text) => {
  expect(() => parseOptions(['a.mp4', '--deadline', text])).toThrow(PermanentError);
});

test.each(['1', '512'])('a batch may be of %s frames', (frames) => {
  expect(parseOptions(['a.mp4', '--batch', frames])?.settings.batchSize).toBe(Number(frames));
});

const REFUSED: readonly (readonly [why: string, argv: readonly string[], named: string])[] = [
  ['no video', [], 'video'],
  ['two videos', ['a.mp4', 'b.mp4'], '2'],
  ['an option that there is not', ['a.mp4', '--stile', 'udnie'], '--stile'],
  ['a name with a dash that is no option', ['-odd-name.mp4'], '-odd-name.mp4'],
  ['a style without its name', ['a.mp4', '--style'], '--style'],
  ['a priority that there is not', ['a.mp4', '--priority', 'urgent'], 'low, normal, high'],
  ['a policy that there is not', ['a.mp4', '--on-failed-frame', 'skip'], 'repeat-previous'],
];
const BAD_BATCHES = ['0', '513', '-1', '1.5', 'many', ''];
const BAD_FAILED_MAX = ['-1', '1.5', '101%', '5 %', '%', 'few', ''];
const BAD_MODELS = ['Painter', 'a/b', '../a', '@1', 'a@', 'a@1@2'];

test.each([
  ...REFUSED,
  ...BAD_BATCHES.map((batch) => ['a bad batch', ['a.mp4', '--batch', batch], '1 to 512'] as const),
  ...BAD_FAILED_MAX.map((max) => ['a bad bound', ['a.mp4', '--max-failed-frames', max], '5%'] as const),
  ...BAD_MODELS.map((model) => ['a bad model', ['a.mp4', '--model', model], 'painter@1'] as const),
])('%s is refused: %j', (_, argv, named) => {
  const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const parse = () => parseOptions(argv);
  expect(parse).toThrow(PermanentError);
  expect(parse).toThrow(
    expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(named) as string }),
  );
  expect(stderr).not.toHaveBeenCalled();
});

test('a mistake is told in a sentence', () => {
  expect(() => parseOptions(['a.mp4', '--frob'])).toThrow(/^Unknown option '--frob'\.$/);
});

test.each(['--help', '-h'])('%s tells of every option on standard output, and that is all', (help) => {
  const stdout = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  expect(parseOptions([help])).toBeNull();
  const said = stdout.mock.calls.map(([text]) => String(text)).join('');
  const options =
    '--style --model --batch --out --priority --on-failed-frame --max-failed-frames --json --detach'.split(
      ' ',
    );
  for (const option of options) expect(said).toContain(`  ${option}`);
  const exits = said.slice(said.indexOf('Exit status:'));
  for (const status of new Set(Object.values(EXIT))) expect(exits).toMatch(new RegExp(`\\s${status} `));
});
