/** The stages of an engine on real frames: ffmpeg decodes, ONNX Runtime scores, ffmpeg encodes. */
import { createHash } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { readSegment } from '../../../producer/media/segment-samples.ts';
import { DEFAULT_ENCODING } from '../../../shared/contract/encoding.ts';
import type { PieceFormat } from '../../../shared/contract/piece.ts';
import { type FrameRange, indicesOf } from '../../../shared/contract/ranges.ts';
import { resultColourOf } from '../../../shared/media/colour.ts';
import { type VideoInfo, probeVideo } from '../../../shared/media/probe.ts';
import { ModelMismatchError } from '../../../worker/engine/check-model.ts';
import { Inference } from '../../../worker/engine/inference-client.ts';
import { MicroBatchSize } from '../../../worker/engine/micro-batch-size.ts';
import { PieceDecoder, PieceMismatchError } from '../../../worker/engine/piece-decoder.ts';
import {
  type ScoredSegment,
  type ScoringRun,
  type SegmentTask,
  scoreSegments,
} from '../../../worker/engine/score-segments.ts';
import { SegmentEncoder } from '../../../worker/engine/segment-encoder.ts';
import { writeHungryModel } from '../../support/hungry-model.ts';
import { writeIdentityModel } from '../../support/identity-model.ts';
import { H264, ffmpeg, picture } from '../../support/media-clips.ts';
import { pieceFormatOf } from '../../support/media-round-trip.ts';
import { testFolder } from '../../support/servers.ts';

const FRAMES = 24;
const SEGMENTS: readonly FrameRange[] = [
  [0, 10],
  [10, 20],
  [20, 24],
];
const NONE: ReadonlySet<number> = new Set();

interface StoredSegment extends ScoredSegment {
  readonly bytes: Buffer;
}

let folder = '';
let piece: Buffer;
let video: VideoInfo;
let pieceFormat: PieceFormat;
let inference: Inference;
/** Runs out of memory with more than two frames at once. */
let hungry: Inference;
let stored: StoredSegment[];
/** In order: `infer 3`, `inferred 3`, `failed 5: reason`, `announce 7`. */
let events: string[];
/** The frames of each run of the model, in order. */
let runs: FrameRange[];
/** To how many frames micro-batches were reduced. */
let reductions: number[];

beforeAll(async () => {
  folder = await testFolder();
  const at = (name: string): string => path.join(folder, name);
  await ffmpeg([...picture({ size: '96x64', seconds: FRAMES / 25 }), ...H264, at('clip.mp4')]);
  await ffmpeg(['-i', at('clip.mp4'), '-c', 'copy', at('clip.nut')]);
  piece = await readFile(at('clip.nut'));
  video = await probeVideo(at('clip.mp4'));
  pieceFormat = await pieceFormatOf(at('clip.mp4'));
  await writeIdentityModel(folder);
  inference = await load(at('identity/identity.onnx'));
  hungry = await load(await writeHungryModel(folder, { framesMax: 2 }));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(() => {
  [stored, events, runs, reductions] = [[], [], [], []];
});

async function load(modelPath: string): Promise<Inference> {
  const loading = new Inference({ onDeath: () => undefined });
  await loading.load({ modelPath, executionProviders: ['cpu'], threads: 1, deviceId: 0 });
  return loading;
}

function tasks(changes: Partial<Omit<SegmentTask, 'frames'>> = {}): SegmentTask[] {
  return SEGMENTS.map((frames) => ({ frames, givenUp: NONE, careful: NONE, ...changes }));
}

interface Changes extends Partial<Pick<ScoringRun, 'segments' | 'onFailedFrame' | 'stop' | 'turn'>> {
  /** The frames that the piece should hold. */
  readonly pieceFrames?: number;
  /** The most frames in one run of the model. */
  readonly together?: number;
  readonly model?: Inference;
  /** Called before a frame is scored. Throws if it fails. */
  readonly before?: (frameIndex: number) => void;
  /** A run of the model ends after this. */
  readonly hold?: (frames: FrameRange) => Promise<void>;
  /** Called with the number of frames decoded so far. */
  readonly onDecoded?: (count: number) => void;
  readonly mayStore?: (segment: ScoredSegment) => boolean;
  readonly store?: (segment: StoredSegment) => Promise<void>;
  readonly keep?: ScoringRun['stages']['keep'];
}

function run(changes: Changes = {}): ScoringRun {
  const { pieceFrames = FRAMES, together = 1, model = inference, ...others } = changes;
  const { before, hold, onDecoded, mayStore, store, keep, ...rest } = others;
  const { width, height } = video;
  const frameBytes = width * height * 3;
  const signal = new AbortController().signal;
  const colour = resultColourOf(video);
  const { framesPerSecond, sampleAspectRatio } = video;
  const format = {
    width,
    height,
    picture: { framesPerSecond, sampleAspectRatio, colour },
    encoding: DEFAULT_ENCODING,
  };
  return {
    segments: tasks(),
    inputBytes: frameBytes,
    outputBytes: frameBytes,
    microBatch: new MicroBatchSize(together, (frames) => reductions.push(frames)),
    onFailedFrame: 'keep-original',
    turn: Promise.resolve(),
    stop: signal,
    stages: {
      source: async function* (segments, pool) {
        const [start, end] = [segments[0]?.[0] ?? 0, segments.at(-1)?.[1] ?? 0];
        const frames = { skip: start, count: end - start, isToEnd: end === pieceFrames };
        const source = { name: 'the piece', bytes: piece, format: pieceFormat };
        await using decoder = await PieceDecoder.start(
          { ...source, ...frames, stalledMs: 300_000, signal },
          pool,
        );
        let count = 0;
        for await (const frame of decoder.frames()) {
          count += 1;
          onDecoded?.(count);
          yield frame;
        }
      },
      infer: async (frames, pixels, output) => {
        const indices = [...indicesOf([frames])];
        const dims = [indices.length, height, width, 3];
        runs.push(frames);
        events.push(...indices.map((frameIndex) => `infer ${frameIndex}`));
        for (const frameIndex of indices) before?.(frameIndex);
        const { seconds } = await model.infer({
          input: { name: 'frames', pixels, dims },
          weights: new Map(),
          outputs: [{ name: 'same', into: { pixels: output, dims } }],
        });
        await hold?.(frames);
        events.push(...indices.map((frameIndex) => `inferred ${frameIndex}`));
        return seconds;
      },
      onFailed: (frameIndex, reason) => events.push(`failed ${frameIndex}: ${reason}`),
      fit: (input, output) => {
        output.set(input);
        return Promise.resolve();
      },
      keep: keep ?? (() => Promise.resolve()),
      openEncoder: () => new SegmentEncoder(format, signal),
      mayStore: (segment) => Promise.resolve(mayStore?.(segment) ?? true),
      store: async (segment, bytes) => {
        const encoded = { ...segment, bytes };
        await store?.(encoded);
        stored.push(encoded);
      },
      announce: (frameIndex) => {
        events.push(`announce ${frameIndex}`);
        return Promise.resolve();
      },
      onNearlyScored: () => events.push('nearly scored'),
      onScored: () => events.push('scored'),
    },
    ...rest,
  };
}

const hashOf = ({ bytes }: StoredSegment): string => createHash('sha256').update(bytes).digest('hex');
const hashesOf = (): string[] => stored.map(hashOf);

describe('a run', () => {
  test('encodes each segment with all its frames, the first of them a key frame, and stores them in order', async () => {
    await scoreSegments(run());
    expect(stored.map(({ task }) => task.frames)).toEqual(SEGMENTS);
    const samples = stored.map(({ bytes }) => readSegment(bytes).samples);
    expect(samples.map(({ length }) => length)).toEqual([10, 10, 4]);
    expect(samples.map(([first]) => first?.isKeyFrame)).toEqual([true, true, true]);
    expect(events.filter((event) => event.startsWith('infer '))).toHaveLength(FRAMES);
    await scoreSegments(run());
    expect(hashesOf().slice(3)).toEqual(hashesOf().slice(0, 3));
  });

  test('gives a segment the same bytes whether it is scored alone or with its neighbours', async () => {
    await scoreSegments(run());
    await scoreSegments(run({ segments: tasks().slice(1, 2) }));
    expect(hashesOf()[3]).toBe(hashesOf()[1]);
  });

  test('scores the next segment while one is being stored', async () => {
    const isScored = Promise.withResolvers<void>();
    await scoreSegments(
      run({
        store: () => isScored.promise,
        before: (frameIndex) => {
          if (frameIndex === 15) isScored.resolve();
        },
      }),
    );
    expect(stored).toHaveLength(3);
  });

  test('asks for each segment whether it may be stored, and drops it if not', async () => {
    const asked: FrameRange[] = [];
    const mayStore = ({ task }: ScoredSegment): boolean => {
      asked.push(task.frames);
      return task.frames[0] !== 10;
    };
    await scoreSegments(run({ mayStore }));
    expect(asked).toEqual(SEGMENTS);
    expect(stored.map(({ task }) => task.frames)).toEqual([SEGMENTS[0], SEGMENTS[2]]);
  });

  test('reports how long the model took for each frame that it scored', async () => {
    await scoreSegments(run({ segments: tasks({ givenUp: new Set([12]) }) }));
    const frames = stored.map(({ inferSeconds }) => [...inferSeconds.keys()]);
    expect(frames.flat()).toEqual([...indicesOf(SEGMENTS)].filter((frameIndex) => frameIndex !== 12));
    const seconds = stored.flatMap(({ inferSeconds }) => [...inferSeconds.values()]);
    expect(Math.min(...seconds)).toBeGreaterThan(0);
  });

  test('shows each frame once, in order, before and after the model', async () => {
    const kept: { readonly frameIndex: number; readonly isSame: boolean }[] = [];
    const keep: ScoringRun['stages']['keep'] = ({ frameIndex, input, output }) => {
      kept.push({ frameIndex, isSame: Buffer.compare(input, output) === 0 });
      return Promise.resolve();
    };
    await scoreSegments(run({ keep }));
    const expected = [...indicesOf(SEGMENTS)].map((frameIndex) => ({ frameIndex, isSame: true }));
    expect(kept).toEqual(expected);
  });
});

describe('a frame that fails', () => {
  const fails = (frameIndex: number): void => {
    if (frameIndex === 12) throw new Error('no such luck');
  };

  test('is reported with its segment and shows the original: with the identity model, the same bytes', async () => {
    await scoreSegments(run());
    await scoreSegments(run({ before: fails }));
    expect(events).toContain('failed 12: no such luck');
    expect(stored.slice(3).map(({ failed }) => failed)).toEqual([[], [12], []]);
    expect(hashesOf().slice(3)).toEqual(hashesOf().slice(0, 3));
  });

  test('shows the previous frame, if the job wants that', async () => {
    await scoreSegments(run());
    await scoreSegments(run({ before: fails, onFailedFrame: 'repeat-previous' }));
    const same = hashesOf()
      .slice(3)
      .map((hash, index) => hash === hashesOf()[index]);
    expect(same).toEqual([true, false, true]);
  });

  test('at the start of a segment shows the original, because there is no previous frame', async () => {
    await scoreSegments(run());
    const before = (frameIndex: number): void => {
      if (frameIndex === 10) throw new Error('first');
    };
    await scoreSegments(run({ before, onFailedFrame: 'repeat-previous' }));
    expect(hashesOf().slice(3)).toEqual(hashesOf().slice(0, 3));
  });

  test('is not tried if it was given up before, and is not reported again', async () => {
    await scoreSegments(run({ segments: tasks({ givenUp: new Set([3, 12]) }) }));
    expect(events).not.toContain('infer 3');
    expect(events).not.toContain('infer 12');
    expect(stored.map(({ failed }) => failed)).toEqual([[], [], []]);
    expect(stored.map(({ bytes }) => readSegment(bytes).samples.length)).toEqual([10, 10, 4]);
  });
});

test('frames are decoded before it is their turn on the device, and run after it', async () => {
  const turn = Promise.withResolvers<void>();
  const decoded = Promise.withResolvers<void>();
  const onDecoded = (count: number): void => {
    if (count === 4) decoded.resolve();
  };
  const running = scoreSegments(run({ turn: turn.promise, onDecoded }));
  await decoded.promise;
  expect(events).toEqual([]);
  turn.resolve();
  await running;
  expect(stored).toHaveLength(SEGMENTS.length);
});

test('a run reports that it is nearly scored while frames are on the device, and that it is scored after the last one', async () => {
  await scoreSegments(run());
  const at = (event: string): number => events.indexOf(event);
  expect(at('nearly scored')).toBeGreaterThan(-1);
  expect(at('nearly scored')).toBeLessThan(at('inferred 23'));
  expect(at('scored')).toBeGreaterThan(at('inferred 23'));
  for (const once of ['nearly scored', 'scored'])
    expect(events.filter((event) => event === once)).toHaveLength(1);
});

test('a careful frame is announced before it runs, and runs alone', async () => {
  await scoreSegments(run({ segments: tasks({ careful: new Set([5]) }) }));
  const at = events.indexOf('announce 5');
  expect(events.slice(at - 1, at + 3)).toEqual(['inferred 4', 'announce 5', 'infer 5', 'inferred 5']);
});

describe('frames that run together', () => {
  test.each([2, 3, 4, 5, 8, 16])(
    'up to %i at once, give the same bytes as single frames, whatever the length of the segments',
    async (together) => {
      await scoreSegments(run());
      runs = [];
      await scoreSegments(run({ together }));
      expect(hashesOf().slice(3)).toEqual(hashesOf().slice(0, 3));
      expect([...indicesOf(runs)]).toEqual([...indicesOf(SEGMENTS)]);
      const lengths = runs.map(([start, end]) => end - start);
      expect(Math.max(...lengths)).toBe(Math.min(together, 10));
      const areWithinSegments = runs.every(([start, end]) =>
        SEGMENTS.some(([first, after]) => start >= first && end <= after),
      );
      expect(areWithinSegments).toBe(true);
      expect(stored.slice(3).flatMap(({ inferSeconds }) => [...inferSeconds.keys()])).toHaveLength(FRAMES);
    },
  );

  test('are as many as may be: whole micro-batches, and the rest of the segment', async () => {
    await scoreSegments(run({ together: 4 }));
    expect(runs.map(([start, end]) => end - start)).toEqual([4, 4, 2, 2, 4, 4, 4]);
    runs = [];
    await scoreSegments(run({ together: 4, segments: [{ frames: [0, 24], givenUp: NONE, careful: NONE }] }));
    expect(runs.map(([start, end]) => end - start)).toEqual([4, 4, 4, 4, 4, 4]);
    runs = [];
    await scoreSegments(run({ together: 5, segments: [{ frames: [0, 24], givenUp: NONE, careful: NONE }] }));
    expect(runs.map(([start, end]) => end - start)).toEqual([5, 5, 5, 5, 4]);
  });

  test('leave out frames that are given up, and careful ones, which are announced and run alone', async () => {
    const segments = tasks({ careful: new Set([5]), givenUp: new Set([12]) });
    await scoreSegments(run({ together: 4, segments }));
    expect(events).not.toContain('infer 12');
    expect(runs).toContainEqual([5, 6]);
    const at = events.indexOf('announce 5');
    expect(events.slice(at - 1, at + 3)).toEqual(['inferred 4', 'announce 5', 'infer 5', 'inferred 5']);
    expect([...indicesOf(runs)]).toEqual([...indicesOf(SEGMENTS)].filter((index) => index !== 12));
  });

  test('run one by one if their run fails, and only the guilty one fails', async () => {
    const before = (frameIndex: number): void => {
      if (frameIndex === 13) throw new Error('no such luck');
    };
    await scoreSegments(run({ before, onFailedFrame: 'repeat-previous' }));
    events = [];
    await scoreSegments(run({ before, onFailedFrame: 'repeat-previous', together: 4 }));
    expect(stored.slice(3).map(({ failed }) => failed)).toEqual([[], [13], []]);
    expect(events.filter((event) => event.startsWith('failed'))).toEqual(['failed 13: no such luck']);
    expect(hashesOf().slice(3)).toEqual(hashesOf().slice(0, 3));
    expect(reductions).toEqual([]);
  });

  test('are fewer once the runtime is out of memory, and none of them fails', async () => {
    await scoreSegments(run());
    runs = [];
    await scoreSegments(run({ together: 8, model: hungry }));
    expect(reductions).toEqual([4, 2]);
    expect(stored.slice(3).map(({ failed }) => failed)).toEqual([[], [], []]);
    expect(hashesOf().slice(3)).toEqual(hashesOf().slice(0, 3));
    const later = runs.filter(([start]) => start >= 10);
    expect(Math.max(...later.map(([start, end]) => end - start))).toBe(2);
  });

  test('are decoded while one micro-batch is on the device and another waits for it', async () => {
    const [areDecoded, isWaiting] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    await scoreSegments(
      run({
        together: 4,
        segments: [{ frames: [0, 24], givenUp: NONE, careful: NONE }],
        onDecoded: (count) => {
          if (count === 12) areDecoded.resolve();
        },
        before: (frameIndex) => {
          if (frameIndex === 7) isWaiting.resolve();
        },
        hold: async ([start]) => {
          if (start === 0) await Promise.all([areDecoded.promise, isWaiting.promise]);
        },
      }),
    );
    expect(stored).toHaveLength(1);
  });
});

describe('a run ends early', () => {
  test('if it is stopped: complete segments are stored, the one in hand is dropped', async () => {
    const stop = new AbortController();
    const before = (frameIndex: number): void => {
      if (frameIndex === 14) stop.abort();
    };
    await scoreSegments(run({ before, stop: stop.signal }));
    expect(stored.map(({ task }) => task.frames)).toEqual([[0, 10]]);
  });

  test('if the model is at fault: the error is thrown, and no process is left', async () => {
    const before = (frameIndex: number): void => {
      if (frameIndex === 14) throw new ModelMismatchError('another size');
    };
    await expect(scoreSegments(run({ before }))).rejects.toThrow('another size');
  });

  test('if a segment cannot be stored: the error is thrown', async () => {
    await expect(
      scoreSegments(run({ store: () => Promise.reject(new Error('no storage')) })),
    ).rejects.toThrow('no storage');
  });

  test('if the source has too few frames: the error is thrown', async () => {
    const segments = [...tasks(), { frames: [24, 40] as const, givenUp: NONE, careful: NONE }];
    const scoring = scoreSegments(run({ segments, pieceFrames: 40 }));
    await expect(scoring).rejects.toThrow('expected 40 frames, decoded 24');
    expect(stored.length).toBeGreaterThan(0);
  });

  test('if the source has too many frames: the error is thrown', async () => {
    const scoring = scoreSegments(run({ segments: tasks().slice(0, 2), pieceFrames: 20 }));
    await expect(scoring).rejects.toThrow(PieceMismatchError);
  });
});
