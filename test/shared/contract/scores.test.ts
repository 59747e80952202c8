import { describe, expect, test } from 'vitest';

import {
  type FrameNumbers,
  findingsOf,
  scoreLine as lineOf,
  withFacts,
} from '../../../shared/contract/scores.ts';

const OUTPUT = { kind: 'numbers' as const, tensors: { scores: 'scores', boxes: 'boxes' } };
const PLACE = { width: 640, height: 640, shown: { x: 0, y: 140, width: 640, height: 360 } };
const FRAME = { width: 1280, height: 720 };
const scoreLine = (
  frameIndex: number,
  output: Parameters<typeof findingsOf>[0],
  numbers: readonly FrameNumbers[] | null,
): string => lineOf(frameIndex, numbers && findingsOf(output, numbers, PLACE, FRAME));
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

describe('boxes', () => {
  const detector = (more: object) => ({
    kind: 'numbers' as const,
    tensors: { boxes: 'b', scores: 's', kinds: 'k' },
    boxes: {
      boxes: 'boxes',
      scores: 'scores',
      classes: 'kinds',
      format: 'xyxy' as const,
      unit: 'pixels' as const,
      scoreMin: 0.5,
      labels: ['person', 'car'],
      ...more,
    },
  });
  const numbers = (boxes: number[], found: number[], kinds: number[]): FrameNumbers[] => [
    { name: 'boxes', data: Float32Array.from(boxes), dims: [boxes.length / 4, 4] },
    { name: 'scores', data: Float32Array.from(found), dims: [found.length] },
    { name: 'kinds', data: Float32Array.from(kinds), dims: [kinds.length] },
  ];

  test('are in pixels of the frame, without the bars of the model, the best one first', () => {
    const found = numbers([0, 140, 64, 176, 320, 320, 640, 500], [0.6, 0.9], [0, 1]);
    expect(JSON.parse(scoreLine(3, detector({}), found))).toEqual({
      frame: 3,
      boxes: [
        { label: 'car', class: 1, score: 0.9, x: 640, y: 360, width: 640, height: 360 },
        { label: 'person', class: 0, score: 0.6, x: 0, y: 0, width: 128, height: 72 },
      ],
    });
  });

  test.each([
    ['yxyx', [176, 64, 212, 128]],
    ['xywh', [64, 176, 64, 36]],
    ['cxcywh', [96, 194, 64, 36]],
  ])('of the format %s are the same box', (format, box) => {
    const [found] = JSON.parse(scoreLine(0, detector({ format }), numbers(box, [1], [0]))).boxes;
    expect(found).toMatchObject({ x: 128, y: 72, width: 128, height: 72 });
  });

  test('of shares of the sides are the same box', () => {
    const share = detector({ unit: 'share' });
    const [found] = JSON.parse(scoreLine(0, share, numbers([0.1, 0.275, 0.2, 0.33125], [1], [0]))).boxes;
    expect(found).toMatchObject({ x: 128, y: 72, width: 128, height: 72 });
  });

  test('with a low score are left out, and those beyond the frame are cut', () => {
    const found = numbers([0, 0, 640, 640, 0, 140, 9, 150], [0.7, 0.49], [0, 0]);
    expect(JSON.parse(scoreLine(0, detector({}), found)).boxes).toEqual([
      { label: 'person', class: 0, score: 0.7, x: 0, y: 0, width: 1280, height: 720 },
    ]);
  });

  test('have the class with the best score if each has a score for each class', () => {
    const { classes: _classes, ...rest } = detector({}).boxes;
    const output = { ...detector({}), boxes: { ...rest, boxes: 'boxes', scores: 'scores' } };
    const found = numbers([0, 140, 64, 176], [0.1, 0.8], []).slice(0, 2);
    expect(JSON.parse(scoreLine(0, output, found)).boxes).toMatchObject([
      { label: 'car', class: 1, score: 0.8 },
    ]);
  });
});
