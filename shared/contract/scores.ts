/**
 * `scores.ndjson`: what a model that returns numbers says of each frame, one line of JSON per frame, in order. PURE.
 *
 *   {"frame":12,"seconds":0.48,"top":[{"label":"tabby","class":281,"score":0.93}]}
 *   {"frame":13,"seconds":0.52,"outputs":{"embedding":[0.12,-0.7]}}
 *   {"frame":14,"seconds":0.56,"failed":true}
 *
 * Segments have the lines without `seconds`: a worker does not know the timeline. A still image has a `name` instead.
 */
import type { NumbersOutput } from './model-manifest.ts';

/** Enough to tell all values of float32 apart. */
const FLOAT32_DIGITS = 9;
/** Of the score of a class. More would be noise of the hardware. */
const SCORE_DIGITS = 6;

/** Nested like the tensor, without the dimension of the frame. */
type Nested = number | null | readonly Nested[];

export interface FrameNumbers {
  readonly name: string;
  /** Of this frame only. */
  readonly data: Float32Array;
  /** Without the dimension of the frame. */
  readonly dims: readonly number[];
}

/** Null: the frame failed. */
export function scoreLine(
  frameIndex: number,
  output: NumbersOutput,
  numbers: readonly FrameNumbers[] | null,
): string {
  return JSON.stringify({
    frame: frameIndex,
    ...(numbers === null ? { failed: true } : read(output, numbers)),
  });
}

/** Of a frame of a video, or of a still image. */
export interface FrameFacts {
  readonly seconds?: number;
  readonly name?: string;
}

/** A line of a segment with what is known of its frame besides. Throws RangeError if it is the line of another frame. */
export function withFacts(line: string, frameIndex: number, facts: FrameFacts): string {
  const start = `{"frame":${frameIndex},`;
  if (!line.startsWith(start))
    throw new RangeError(`expected the numbers of frame ${frameIndex}, found ${line.slice(0, 40)}`);
  return `${JSON.stringify({ frame: frameIndex, ...facts }).slice(0, -1)},${line.slice(start.length)}`;
}

function read({ classes }: NumbersOutput, numbers: readonly FrameNumbers[]): object {
  const others = numbers.filter(({ name }) => name !== classes?.tensor);
  const scores = numbers.find(({ name }) => name === classes?.tensor);
  return {
    ...(classes && scores && { top: bestClasses(classes, scores.data) }),
    ...(others.length > 0 && {
      outputs: Object.fromEntries(others.map(({ name, data, dims }) => [name, nested(data, dims)])),
    }),
  };
}

/** The highest scores, in descending order. */
function bestClasses(
  { labels, top, softmax }: NonNullable<NumbersOutput['classes']>,
  data: Float32Array,
): readonly object[] {
  const scores = softmax ? probabilities(data) : [...data];
  const order = [...scores.keys()].toSorted((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b);
  return order.slice(0, top).map((index) => ({
    ...(labels[index] === undefined ? {} : { label: labels[index] }),
    class: index,
    score: rounded(scores[index] ?? 0, SCORE_DIGITS),
  }));
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
