import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { LABELS_MAX } from '../../shared/contract/limits.ts';
import { readLabels } from '../../worker/cli/model/labels.ts';
import { parseModelOptions } from '../../worker/cli/model/options.ts';

const ADD = ['add', 'a.onnx', '--name', 'a'];

test('add takes a file, a name and what the graph does not say', () => {
  expect(
    parseModelOptions([...ADD, '--range', '0..1', '--mean', '0.5', '--std', '0.2,0.3,0.4', '--set', 'x=1']),
  ).toMatchObject({
    verb: 'add',
    file: 'a.onnx',
    name: 'a',
    answers: { range: '0..1', mean: [0.5], std: [0.2, 0.3, 0.4], values: new Map([['x', [1]]]) },
  });
});

test.each([
  [['--std', '0'], 'other than 0'],
  [['--std', '0.2,0,0.2'], 'other than 0'],
  [['--mean', 'x'], 'Expected numbers'],
  [['--box-scores', 'scores'], '--box-scores has no effect without --boxes'],
  [['--min-score', '0.5'], '--min-score has no effect without --boxes'],
  [['--box-format', 'xyxy'], '--box-format has no effect without --boxes'],
  [['--boxes', 'b', '--box-scores', 's', '--top', '3'], '--top has no effect with --boxes'],
  [['--boxes', 'b'], '--boxes needs the scores of the boxes'],
  [['--tile-overlap', '8'], '--tile-overlap has no effect without --tile'],
])('add is refused with %j', (flags, message) => {
  expect(() => parseModelOptions([...ADD, ...flags])).toThrow(message);
});

describe('labels', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'framefleet-test-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function labelsOf(content: string | Buffer): Promise<string[]> {
    const file = path.join(folder, 'labels.txt');
    await writeFile(file, content);
    return readLabels(file);
  }

  test('are the lines of a file, with any line ends', async () => {
    expect(await labelsOf('cat\r\ndog\n\nété\n\n')).toEqual(['cat', 'dog', '', 'été']);
  });

  test.each([
    ['nothing', ' \n', 'it is empty'],
    ['a model', Buffer.of(8, 7, 0xff, 0xfe), 'it is not text in UTF-8'],
    ['an essay', `cat\n${'x'.repeat(300)}`, 'line 2 has more than 200 characters'],
    ['a log', 'x\n'.repeat(LABELS_MAX + 1), `it has ${LABELS_MAX + 1} lines`],
  ])('are not %s', async (_what, content, message) => {
    await expect(labelsOf(content)).rejects.toMatchObject({
      code: 'MODEL_INVALID',
      message: expect.stringContaining(message) as string,
    });
  });

  test('must be there', async () => {
    await expect(readLabels(path.join(folder, 'none.txt'))).rejects.toMatchObject({ code: 'SOURCE_MISSING' });
    await expect(readLabels(folder)).rejects.toMatchObject({ code: 'SOURCE_UNREADABLE' });
  });
});
