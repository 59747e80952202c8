/**
 * `scores.ndjson`: what a model that returns numbers says of each frame, one line of JSON per frame, in order. PURE.
 *
 *   {"frame":12,"seconds":0.48,"top":[{"label":"tabby","class":281,"score":0.93}]}
 *   {"frame":13,"seconds":0.52,"outputs":{"embedding":[0.12,-0.7]}}
 *   {"frame":14,"seconds":0.56,"boxes":[{"label":"car","class":2,"score":0.8,"x":10,"y":4.5,"width":60,"height":32}]}
 *   {"frame":15,"seconds":0.6,"reason":"…","failed":true}
 *
 * Segments have the lines without `seconds`: a worker does not know the timeline. A still image has a `name` instead.
 */
import type { NumbersOutput } from './model-manifest.ts';
import type { FrameSize } from './segment.ts';

/** Enough to tell all values of float32 apart. */
const FLOAT32_DIGITS = 9;
/** Of the score of a class. More would be noise of the hardware. */
const SCORE_DIGITS = 6;
/** Of a frame. */
const BOXES_MAX = 1_000;

/** Nested like the tensor, without the dimension of the frame. */
type Nested = number | null | readonly Nested[];

export interface FrameNumbers {
  readonly name: string;
  /** Of this frame only. */
  readonly data: Float32Array;
  /** Without the dimension of the frame. */
  readonly dims: readonly number[];
}

/** Where the frame is in the picture that the model takes, in pixels. */
export interface FramePlace {
  readonly width: number;
  readonly height: number;
  readonly shown: { readonly x: number; readonly y: number } & FrameSize;
}

interface ClassScore {
  readonly label?: string;
  /** Its index. */
  readonly class: number;
  readonly score: number | null;
}

/** In pixels of the frame. */
interface FoundBox extends Partial<ClassScore>, FrameSize {
  readonly x: number;
  readonly y: number;
}

/** What a model says of a frame. */
export interface Findings {
  readonly top?: readonly ClassScore[];
  readonly boxes?: readonly FoundBox[];
  /** The outputs that are not read in one of these ways. */
  readonly outputs?: Readonly<Record<string, Nested>>;
}

/** `frame`: its size. */
export function findingsOf(
  { classes, boxes }: NumbersOutput,
  numbers: readonly FrameNumbers[],
  place: FramePlace,
  frame: FrameSize,
): Findings {
  const read = new Set([classes?.tensor, boxes?.boxes, boxes?.scores, boxes?.classes]);
  const others = numbers.filter(({ name }) => !read.has(name));
  const tensorOf = (name: string | undefined) => numbers.find((one) => one.name === name);
  const scores = tensorOf(classes?.tensor);
  return {
    ...(classes && scores && { top: bestClasses(classes, scores.data) }),
    ...(boxes && { boxes: foundBoxes(boxes, tensorOf, place, frame) }),
    ...(others.length > 0 && {
      outputs: Object.fromEntries(others.map(({ name, data, dims }) => [name, nested(data, dims)])),
    }),
  };
}

/** Null: the frame failed. */
export function scoreLine(frameIndex: number, findings: Findings | null): string {
  return JSON.stringify({ frame: frameIndex, ...(findings ?? { failed: true }) });
}

/** Of a frame of a video, or of a still image. */
export interface FrameFacts {
  readonly seconds?: number;
  readonly name?: string;
  /** Why it failed. */
  readonly reason?: string;
}

/** A line of a segment with what is known of its frame besides. Throws RangeError if it is the line of another frame. */
export function withFacts(line: string, frameIndex: number, facts: FrameFacts): string {
  const start = `{"frame":${frameIndex},`;
  if (!line.startsWith(start))
    throw new RangeError(`expected the numbers of frame ${frameIndex}, found ${line.slice(0, 40)}`);
  return `${JSON.stringify({ frame: frameIndex, ...facts }).slice(0, -1)},${line.slice(start.length)}`;
}

/** The highest scores, in descending order. */
function bestClasses(
  { labels, top, softmax }: NonNullable<NumbersOutput['classes']>,
  data: Float32Array,
): readonly ClassScore[] {
  const scores = softmax ? probabilities(data) : [...data];
  const order = [...scores.keys()].toSorted((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b);
  return order.slice(0, top).map((index) => ({
    ...(labels[index] === undefined ? {} : { label: labels[index] }),
    class: index,
    score: rounded(scores[index] ?? 0, SCORE_DIGITS),
  }));
}

/** Those with a score that is high enough, the highest first. */
function foundBoxes(
  { boxes, scores, classes, format, unit, scoreMin, labels }: NonNullable<NumbersOutput['boxes']>,
  tensorOf: (name: string | undefined) => FrameNumbers | undefined,
  { width, height, shown }: FramePlace,
  frame: FrameSize,
): readonly FoundBox[] {
  const [corners, all, kinds] = [
    tensorOf(boxes)?.data ?? [],
    tensorOf(scores)?.data ?? [],
    tensorOf(classes)?.data,
  ];
  const count = Math.floor(corners.length / 4);
  const perBox = count === 0 ? 1 : all.length / count;
  const [unitX, unitY] = unit === 'share' ? [width, height] : [1, 1];
  const found: FoundBox[] = [];
  for (let index = 0; index < count; index += 1) {
    const own = Array.from(all.slice(index * perBox, (index + 1) * perBox));
    const score = Math.max(...own);
    if (!(score >= scoreMin)) continue;
    const kind = kinds?.[index] ?? (perBox > 1 ? own.indexOf(score) : undefined);
    const [left, top, right, bottom] = cornersOf(corners.slice(index * 4, index * 4 + 4), format);
    const toX = (x: number): number => clamp((x * unitX - shown.x) / shown.width, frame.width);
    const toY = (y: number): number => clamp((y * unitY - shown.y) / shown.height, frame.height);
    const label = kind === undefined ? undefined : labels[kind];
    found.push({
      ...(label !== undefined && { label }),
      ...(kind !== undefined && { class: kind }),
      score: rounded(score, SCORE_DIGITS),
      x: toX(left),
      y: toY(top),
      width: tenths(toX(right) - toX(left)),
      height: tenths(toY(bottom) - toY(top)),
    });
  }
  return found.toSorted((one, other) => (other.score ?? 0) - (one.score ?? 0)).slice(0, BOXES_MAX);
}

/** Left, top, right, bottom. */
function cornersOf(
  [a = 0, b = 0, c = 0, d = 0]: Float32Array | readonly number[],
  format: NonNullable<NumbersOutput['boxes']>['format'],
): readonly [number, number, number, number] {
  switch (format) {
    case 'xyxy':
      return [a, b, c, d];
    case 'yxyx':
      return [b, a, d, c];
    case 'xywh':
      return [a, b, a + c, b + d];
    case 'cxcywh':
      return [a - c / 2, b - d / 2, a + c / 2, b + d / 2];
  }
}

/** A share of a side, in pixels of it. */
function clamp(share: number, side: number): number {
  return tenths(Math.min(1, Math.max(0, share)) * side);
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}

function probabilities(logits: Float32Array): number[] {
  const highest = logits.reduce((max, value) => Math.max(max, value), -Infinity);
  const powers = Array.from(logits, (value) => Math.exp(value - highest));
  const sum = powers.reduce((total, value) => total + value, 0);
  return powers.map((value) => value / sum);
}

function nested(data: Float32Array, dims: readonly number[]): Nested {
  const [, ...rest] = dims;
  if (dims.length === 0) return rounded(data[0] ?? 0);
  if (rest.length === 0) return Array.from(data, (value) => rounded(value));
  const length = rest.reduce((product, side) => product * side, 1);
  return Array.from({ length: dims[0] ?? 0 }, (_, row) =>
    nested(data.subarray(row * length, (row + 1) * length), rest),
  );
}

/** JSON has no infinity, and no "not a number". */
function rounded(value: number, digits = FLOAT32_DIGITS): number | null {
  return Number.isFinite(value) ? Number(value.toPrecision(digits)) : null;
}
