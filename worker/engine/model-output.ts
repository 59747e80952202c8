/**
 * What a model returns for frames, from the session to the bytes of a segment: pictures, encoded by ffmpeg, or numbers, a line for each
 * frame.
 */
import type { SegmentExtension } from '../../shared/contract/blob-names.ts';
import type { NumbersOutput, PictureModel } from '../../shared/contract/model-manifest.ts';
import { type FrameRange, countOf, indicesOf } from '../../shared/contract/ranges.ts';
import { type Findings, findingsOf, scoreLine } from '../../shared/contract/scores.ts';
import type { FrameSize } from '../../shared/contract/segment.ts';
import { ModelMismatchError, checkOutput } from './check-model.ts';
import type { Fit } from './fit.ts';
import type { FrameBuffer } from './frame-pool.ts';
import type { WantedOutput, OutputValue } from './inference-client.ts';
import { marksSvg } from './marks.ts';
import { drawOver, resizePicture } from './picture.ts';
import type { RunRequest } from './protocol.ts';
import type { FrameEncoder } from './score-segments.ts';
import { SegmentEncoder } from './segment-encoder.ts';

/** Frames in one run of the model, at the size that it takes. `count` includes those that fill up a fixed batch. */
interface FramesOfRun {
  readonly frames: FrameRange;
  readonly count: number;
}

export interface ModelOutput {
  readonly segment: { readonly extension: SegmentExtension; readonly contentType: string };
  /** Of a frame in the pool of outputs. */
  readonly bytesPerFrame: number;
  /** Whether there is something to look at. */
  readonly isVisible: boolean;
  /** Of numbers: a line for each of these frames. */
  readonly linesOf?: (frames: FrameRange) => Buffer;
  /** What is drawn into the frames: lines of it are stored beside the segments. */
  readonly numbers?: ModelOutput;
  /** Draws what the model has said of a frame into it. */
  readonly draw?: (frameIndex: number, input: FrameBuffer, output: FrameBuffer) => Promise<void>;
  readonly ask: (run: FramesOfRun, output: FrameBuffer) => readonly WantedOutput[];
  /** Throws ModelMismatchError. */
  readonly accept: (run: FramesOfRun, values: readonly OutputValue[], output: FrameBuffer) => void;
  /** Writes the original of a frame to its output. */
  readonly keepOriginal: (input: FrameBuffer, output: FrameBuffer) => Promise<void>;
  readonly openEncoder: () => FrameEncoder;
}

/** The size of the output is checked once; from then on the model writes it straight into the encoder's buffer. */
export function pictureOutput(
  manifest: PictureModel,
  fit: Fit,
  { picture, encoding }: Pick<RunRequest, 'picture' | 'encoding'>,
  signal: AbortSignal,
): ModelOutput {
  const { name } = manifest.output;
  const { width, height } = fit.input;
  let isChecked = false;
  return {
    segment: { extension: 'mp4', contentType: 'video/mp4' },
    bytesPerFrame: bytesOf(fit.output),
    isVisible: true,
    ask: ({ frames, count }, pixels) => {
      const dims = [count, fit.output.height, fit.output.width, 3];
      return [isChecked && countOf([frames]) === count ? { name, into: { pixels, dims } } : { name }];
    },
    accept: ({ count }, [value], output) => {
      checkOutput(manifest, { count, width, height }, value?.dims ?? []);
      if (value?.data !== undefined) output.set(value.data.subarray(0, output.length));
      isChecked = true;
    },
    keepOriginal: (input, output) => resizePicture(input, fit.input, output, fit.output),
    openEncoder: () => new SegmentEncoder({ ...fit.result, input: fit.output, picture, encoding }, signal),
  };
}

/** The lines wait here for their encoder. A frame without one has failed. */
export function numbersOutput(
  output: NumbersOutput,
  fit: Fit,
  onFindings: (frameIndex: number, findings: Findings) => void = () => undefined,
): ModelOutput {
  const lines = new Map<number, string>();
  const tensors = Object.entries(output.tensors);
  const take = (frameIndex: number): string => {
    const line = lines.get(frameIndex) ?? scoreLine(frameIndex, null);
    lines.delete(frameIndex);
    return line;
  };
  return {
    segment: { extension: 'ndjson', contentType: 'application/x-ndjson' },
    bytesPerFrame: 1,
    isVisible: false,
    ask: () => tensors.map(([, name]) => ({ name })),
    accept: ({ frames, count }, values) => {
      const rows = tensors.map(([name], index) => rowsOf(name, values[index], count));
      for (const [row, frameIndex] of [...indicesOf([frames])].entries()) {
        const numbers = rows.map((rowOf) => rowOf(row));
        const findings = findingsOf(output, numbers, fit.input, fit.result);
        lines.set(frameIndex, scoreLine(frameIndex, findings));
        onFindings(frameIndex, findings);
      }
    },
    keepOriginal: () => Promise.resolve(),
    openEncoder: () => new LineEncoder(take),
    linesOf: (frames) => linesFrom([...indicesOf([frames])].map(take)),
  };
}

/** Frames at their own size, into which is drawn what the model says of them. */
export function drawnOutput(
  output: NumbersOutput,
  fit: Fit,
  { picture, encoding }: Pick<RunRequest, 'picture' | 'encoding'>,
  signal: AbortSignal,
): ModelOutput {
  const findings = new Map<number, Findings>();
  const size = fit.result;
  return {
    segment: { extension: 'mp4', contentType: 'video/mp4' },
    bytesPerFrame: bytesOf(size),
    isVisible: true,
    numbers: numbersOutput(output, fit, (frameIndex, found) => findings.set(frameIndex, found)),
    draw: async (frameIndex, frame, drawn) => {
      await drawOver(frame, size, marksSvg(findings.get(frameIndex) ?? {}, size), drawn);
      findings.delete(frameIndex);
    },
    ask: () => [],
    accept: () => undefined,
    keepOriginal: (frame, drawn) => Promise.resolve(drawn.set(frame)),
    openEncoder: () => new SegmentEncoder({ ...size, picture, encoding }, signal),
  };
}

/** Splits a tensor by its first dimension. */
function rowsOf(name: string, value: OutputValue | undefined, count: number) {
  const [rows, ...rest] = value?.dims ?? [];
  const data = value?.data;
  if (rows !== count || !(data instanceof Float32Array))
    throw new ModelMismatchError(
      `For ${count === 1 ? 'a frame' : `${count} frames`}, the output "${name}" is ${value?.dims.join('x')}, but model.json requires ${count} as the first number.`,
    );
  const length = data.length / count;
  return (row: number) => ({ name, data: data.subarray(row * length, (row + 1) * length), dims: rest });
}

class LineEncoder implements FrameEncoder {
  readonly #lineOf: (frameIndex: number) => string;
  readonly #lines: string[] = [];

  constructor(lineOf: (frameIndex: number) => string) {
    this.#lineOf = lineOf;
  }

  write(_output: FrameBuffer, frameIndex: number): Promise<void> {
    this.#lines.push(this.#lineOf(frameIndex));
    return Promise.resolve();
  }

  finish(): Promise<Buffer> {
    return Promise.resolve(linesFrom(this.#lines));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

function linesFrom(lines: readonly string[]): Buffer {
  return Buffer.from(lines.map((line) => `${line}\n`).join(''));
}

export function bytesOf({ width, height }: FrameSize): number {
  return width * height * 3;
}
