/**
 * Measures flicker: how much pixels change from frame to frame after the model, where the video stands still. PURE.
 *
 * It looks at a grid of points, so it costs about 60 µs a frame, whatever its size. A point is still if none of its channels changes by more than STILL_MAX
 * before the model. Frames that show a replacement are left out.
 */
import type { FlickerSum } from '../../shared/contract/segment.ts';
import type { Fit, FittedSize } from './fit.ts';

const COLUMNS = 64;
const ROWS = 36;
/** Grey levels. Less is noise of the camera and of the codec. */
const STILL_MAX = 2;

export interface MeasuredFrame {
  readonly frameIndex: number;
  /** Packed RGB, before and after the model. */
  readonly input: Uint8Array;
  readonly output: Uint8Array;
  readonly isReplaced: boolean;
}

export class FlickerMeter {
  /** Where the pixels of the points start. */
  readonly #before: Uint32Array;
  readonly #after: Uint32Array;
  #previous:
    | { readonly frameIndex: number; readonly input: Uint8Array; readonly output: Uint8Array }
    | undefined;
  #sum = 0;
  #points = 0;

  constructor({ input, output }: Pick<Fit, 'input' | 'output'>) {
    this.#before = pointsIn(input);
    this.#after = pointsIn(output);
  }

  /** Frames come in order. */
  add({ frameIndex, input, output, isReplaced }: MeasuredFrame): void {
    const previous = this.#previous;
    const now = { frameIndex, input: sampled(input, this.#before), output: sampled(output, this.#after) };
    this.#previous = isReplaced ? undefined : now;
    if (isReplaced || previous?.frameIndex !== frameIndex - 1) return;
    for (let at = 0; at < now.input.length; at += 3) {
      if (changeAt(previous.input, now.input, at, Math.max) > STILL_MAX) continue;
      this.#sum += changeAt(previous.output, now.output, at, (one, other) => one + other) / 3;
      this.#points += 1;
    }
  }

  /** Of the frames since the last call. */
  take(): FlickerSum {
    const taken = { sum: Math.round(this.#sum), points: this.#points };
    [this.#sum, this.#points] = [0, 0];
    return taken;
  }
}

function pointsIn({ width, shown }: FittedSize): Uint32Array {
  const points = new Uint32Array(COLUMNS * ROWS);
  for (let row = 0; row < ROWS; row += 1)
    for (let column = 0; column < COLUMNS; column += 1) {
      const x = shown.x + Math.floor(((column + 0.5) * shown.width) / COLUMNS);
      const y = shown.y + Math.floor(((row + 0.5) * shown.height) / ROWS);
      points[row * COLUMNS + column] = (y * width + x) * 3;
    }
  return points;
}

function sampled(pixels: Uint8Array, points: Uint32Array): Uint8Array {
  const samples = new Uint8Array(points.length * 3);
  for (let point = 0; point < points.length; point += 1)
    for (let channel = 0; channel < 3; channel += 1)
      samples[point * 3 + channel] = pixels[(points[point] ?? 0) + channel] ?? 0;
  return samples;
}

/** Of the three channels. */
function changeAt(
  one: Uint8Array,
  other: Uint8Array,
  at: number,
  combine: (a: number, b: number) => number,
): number {
  let change = 0;
  for (let channel = at; channel < at + 3; channel += 1)
    change = combine(change, Math.abs((one[channel] ?? 0) - (other[channel] ?? 0)));
  return change;
}
