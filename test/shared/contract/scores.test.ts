import { expect, test } from 'vitest';

import { scoreLine, withFacts } from '../../../shared/contract/scores.ts';

const OUTPUT = { kind: 'numbers' as const, tensors: { scores: 'scores', boxes: 'boxes' } };
const classes = (more: object) => ({
  ...OUTPUT,
  classes: { tensor: 'scores', labels: ['cat', 'dog', 'owl'], top: 2, softmax: false, ...more },
});
const scores = (...values: number[]) => ({
  name: 'scores',
  data: Float32Array.from(values),
  dims: [values.length],
});

test('numbers are nested like their tensor, without the dimension of the frame', () => {
  const boxes = { name: 'boxes', data: Float32Array.of(1, 2, 3, 4, 5, 6), dims: [3, 2] };
  const count = { name: 'count', data: Float32Array.of(3), dims: [] };
  expect(JSON.parse(scoreLine(7, OUTPUT, [scores(0.5), boxes, count]))).toEqual({
    frame: 7,
    outputs: {
      scores: [0.5],
      boxes: [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
      count: 3,
    },
  });
});

test('each value of float32 is told from its neighbours', () => {
  const values = Float32Array.of(0.1, Math.PI, 1e-30, 16_777_215, 1 / 3);
  const line = JSON.parse(scoreLine(0, OUTPUT, [{ ...scores(), data: values, dims: [5] }]));
  expect(Float32Array.from(line.outputs.scores)).toEqual(values);
});

test('what JSON cannot write is null', () => {
  const line = scoreLine(0, OUTPUT, [scores(Number.NaN, Infinity, -1)]);
  expect(JSON.parse(line).outputs.scores).toEqual([null, null, -1]);
});

test('the best classes are reported with their labels, in place of all scores', () => {
  expect(JSON.parse(scoreLine(1, classes({}), [scores(0.1, 0.7, 0.2)]))).toEqual({
    frame: 1,
    top: [
      { label: 'dog', class: 1, score: 0.7 },
      { label: 'owl', class: 2, score: 0.2 },
    ],
  });
});

test('with softmax, the probabilities of all classes add up to one, however large the scores are', () => {
  const line = JSON.parse(scoreLine(1, classes({ softmax: true, top: 3 }), [scores(1000, 1001, 999)]));
  const found = line.top.map(({ score }: { score: number }) => score);
  expect(found.reduce((sum: number, score: number) => sum + score, 0)).toBeCloseTo(1, 6);
  expect(found[0] / found[1]).toBeCloseTo(Math.E, 4);
});

test('a class without a label has its number', () => {
  const [best] = JSON.parse(scoreLine(1, classes({ labels: [] }), [scores(0, 0, 1)])).top;
  expect(best).toEqual({ class: 2, score: 1 });
});

test('a frame without numbers has failed', () => {
  expect(scoreLine(3, OUTPUT, null)).toBe('{"frame":3,"failed":true}');
});

test('the time of a frame is added to its own line only', () => {
  const line = scoreLine(12, OUTPUT, null);
  expect(JSON.parse(withFacts(line, 12, { seconds: 0.48 }))).toEqual({
    frame: 12,
    seconds: 0.48,
    failed: true,
  });
  expect(() => withFacts(line, 1, { seconds: 0.48 })).toThrow(RangeError);
});
