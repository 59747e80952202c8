/**
 * Both ways of splitting a source, by cutting and by decoding, give the same film: every frame at its time, and as close to the source.
 *
 * The pieces go through the worker's decoder and encoder and the producer's join, as with a model that changes nothing. A source that must
 * not be cut is decoded, for the right reason.
 */
import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { describe, expect, test } from 'vitest';

import { cutPieces } from '../../../producer/media/cut-pieces.ts';
import { planCuts } from '../../../producer/media/cut-plan.ts';
import { decodeFrames } from '../../../producer/media/decode-frames.ts';
import { joinVideo } from '../../../producer/media/join-video.ts';
import { jpegPieceFormat, packJpegs } from '../../../producer/media/jpeg-pieces.ts';
import { readPacketIndex } from '../../../producer/media/packet-index.ts';
import type { Timeline } from '../../../producer/media/timeline.ts';
import type { BlobStore } from '../../../shared/azure/blob-store.ts';
import { pieceBlob } from '../../../shared/contract/blob-names.ts';
import { DEFAULT_ENCODING } from '../../../shared/contract/encoding.ts';
import type { PieceFormat } from '../../../shared/contract/piece.ts';
import type { FrameRange } from '../../../shared/contract/ranges.ts';
import { segmentsOf } from '../../../shared/contract/segment.ts';
import {
  decodedColourOf,
  jpegChromaLocation,
  resultColourOf,
  rgbFromPiece,
} from '../../../shared/media/colour.ts';
import { type VideoInfo, probeVideo } from '../../../shared/media/probe.ts';
import { FramePool } from '../../../worker/engine/frame-pool.ts';
import { framesFromPieces } from '../../../worker/engine/piece-source.ts';
import { SegmentEncoder } from '../../../worker/engine/segment-encoder.ts';
import { firstSplit } from '../../support/build-job.ts';
import { inForm } from '../../support/fault-form.ts';
import { ffmpegOutput, ffprobe, picture, pictureTimes, tone } from '../../support/media-clips.ts';
import { LIMITS, NO_TRACKS, each, pieceFormatOf, useMediaFolder } from '../../support/media-round-trip.ts';

const { at, clip } = useMediaFolder();

const SPLIT = firstSplit('both-ways');
/** Of a source that is decoded. Its pieces end within segments of the other way, and within batches. */
const PIECE_FRAMES = 48;
/** A batch starts in the middle of a piece, so frames before it are decoded and dropped. */
const SEGMENTS_PER_BATCH = 3;
/** How much worse a result may be because its source was decoded: the JPEGs lose little beside the encoder. */
const DECIBELS_APART_MAX = 1;
/** Of a recording the encoder keeps more, so the loss of the JPEGs (45 dB) counts. */
const RECORDING_DECIBELS_APART_MAX = 5;
/** The test picture has sharp coloured edges: chroma that is half a pixel off costs 3 dB. */
const DECIBELS_MIN = 27;

/** A source that was taken apart. */
interface SplitSource {
  readonly format: PieceFormat;
  readonly timeline: Timeline;
  readonly pieces: readonly FrameRange[];
  /** By name. */
  readonly blobs: ReadonlyMap<string, Buffer>;
}

class PieceCollector {
  readonly #format: PieceFormat;
  readonly #pieces: FrameRange[] = [];
  readonly #blobs = new Map<string, Buffer>();

  constructor(format: PieceFormat) {
    this.#format = format;
  }

  get count(): number {
    return this.#pieces.length;
  }

  add(bytes: Buffer, frames: number): void {
    const start = this.#pieces.at(-1)?.[1] ?? 0;
    this.#pieces.push([start, start + frames]);
    this.#blobs.set(pieceBlob(SPLIT, start, this.#format), bytes);
  }

  source(timeline: Timeline): SplitSource {
    return { format: this.#format, timeline, pieces: this.#pieces, blobs: this.#blobs };
  }
}

/** Returns the reason if the source must not be cut. */
async function splitByCutting(sourcePath: string, video: VideoInfo): Promise<SplitSource | string> {
  const plan = planCuts(video, await readPacketIndex(sourcePath, video, LIMITS.framesMax));
  if (plan.kind === 'decode') return plan.reason;
  const { timeline, pieceStarts } = plan;
  const format = await pieceFormatOf(sourcePath);
  const collector = new PieceCollector(format);
  const folder = at(`${path.basename(sourcePath)}-pieces`);
  const ends = [...pieceStarts.slice(1), timeline.pts.length];
  for await (const file of cutPieces({ sourcePath, video, pieceStarts, folder, cpuSecondsMax: 300 })) {
    const number = collector.count;
    collector.add(await readFile(file), (ends[number] ?? 0) - (pieceStarts[number] ?? 0));
  }
  return collector.source(timeline);
}

async function splitByDecoding(sourcePath: string, video: VideoInfo): Promise<SplitSource> {
  const format = jpegPieceFormat(video, jpegChromaLocation(video));
  const collector = new PieceCollector(format);
  const frames = decodeFrames({ sourcePath, video, limits: LIMITS });
  const packing = packJpegs(frames, { ...format, pieceFrames: PIECE_FRAMES });
  for (;;) {
    const { done, value } = await packing.next();
    if (done === true) return collector.source(value);
    collector.add(value.bytes, value.frames);
  }
}

/** Encodes all frames, as a worker does with a model that changes nothing. */
async function encode(video: VideoInfo, source: SplitSource, segmentFrames: number): Promise<Buffer[]> {
  const { format, timeline, pieces } = source;
  const { width, height, framesPerSecond, sampleAspectRatio } = video;
  const pool = new FramePool({ buffers: 4, bytesPerBuffer: width * height * 3 });
  const { signal } = new AbortController();
  const shape = { framesPerSecond, sampleAspectRatio, colour: resultColourOf(video) };
  // The source reads blobs and does nothing else with the store.
  const blobs = {
    get: (_container: string, name: string) => Promise.resolve(source.blobs.get(name)),
  } as unknown as BlobStore;
  const reading = { blobs, split: SPLIT, format, pieces, stalledMs: 300_000, signal, onFetched: () => {} };
  const segments = segmentsOf([0, timeline.pts.length], segmentFrames);
  const encoded: Buffer[] = [];
  for (let first = 0; first < segments.length; first += SEGMENTS_PER_BATCH) {
    const batch = segments.slice(first, first + SEGMENTS_PER_BATCH);
    const frames = framesFromPieces(reading, batch, pool);
    for (const [start, end] of batch) {
      const encoding = { width, height, picture: shape, encoding: DEFAULT_ENCODING };
      await using encoder = new SegmentEncoder(encoding, signal);
      for (let frameIndex = start; frameIndex < end; frameIndex += 1) {
        const { value } = await frames.next();
        if (value === undefined) throw new Error(`expected frame ${frameIndex}`);
        await encoder.write(value);
        pool.giveBack(value);
      }
      encoded.push(await encoder.finish());
    }
    expect(await frames.next()).toEqual({ done: true, value: undefined });
  }
  return encoded;
}

interface Film {
  readonly frames: number;
  /** From the first frame. */
  readonly seconds: readonly number[];
  readonly tickSeconds: number;
  /** Against the source, over all frames, and of the worst frame. */
  readonly decibels: number;
  readonly decibelsMin: number;
}

interface FilmRequest {
  readonly name: string;
  readonly sourcePath: string;
  readonly video: VideoInfo;
  /** The frames of the source without loss. */
  readonly referencePath: string;
  readonly segmentFrames: number;
}

/** Makes the result from the pieces of one way, and measures it. */
async function filmOf(request: FilmRequest, source: SplitSource): Promise<Film> {
  const { name, video, referencePath, sourcePath, segmentFrames } = request;
  const segments = await encode(video, source, segmentFrames);
  const outputPath = at(`${name}.${video.container}`);
  await joinVideo({
    timeline: source.timeline,
    video,
    sourcePath,
    outputPath,
    trackPlan: NO_TRACKS,
    encoding: DEFAULT_ENCODING,
    cpuSecondsMax: 300,
    frameSize: video,
    segments: () => each(segments),
  });
  const times = await pictureTimes(outputPath);
  const first = times.seconds[0] ?? NaN;
  const errors = await squaredErrors(outputPath, referencePath, video);
  expect(errors).toHaveLength(times.seconds.length);
  return {
    frames: times.seconds.length,
    seconds: times.seconds.map((seconds) => seconds - first),
    tickSeconds: times.tickSeconds,
    decibels: toDecibels(errors.reduce((sum, error) => sum + error, 0) / errors.length),
    decibelsMin: toDecibels(Math.max(...errors)),
  };
}

function toDecibels(meanSquaredError: number): number {
  return 10 * Math.log10(255 ** 2 / meanSquaredError);
}

/** For each frame, by its number and whatever its time: the mean squared error against the source, in RGB. */
async function squaredErrors(resultPath: string, referencePath: string, video: VideoInfo): Promise<number[]> {
  const { width, height } = video;
  // The encoder makes an odd size even.
  const padded = { width: width + (width % 2), height: height + (height % 2), colour: resultColourOf(video) };
  const numbered = 'format=gbrp,settb=1/1000,setpts=N';
  const sides = [
    `[0:v:0]${rgbFromPiece(padded)},crop=${width}:${height}:0:0,${numbered}[result]`,
    `[1:v:0]${numbered}[source]`,
  ];
  const graph = `${sides.join(';')};[result][source]psnr=stats_file=-`;
  const files = ['-i', resultPath, '-i', referencePath];
  const output = await ffmpegOutput([...files, '-lavfi', graph, '-f', 'null', '/dev/null']);
  return [...String(output).matchAll(/ mse_avg:([\d.]+) /g)].map(([, error]) => Number(error));
}

/** Turned in RGB, where every pixel has a sample of its own. By the degrees that a player must turn the picture clockwise. */
const TURNS = new Map([
  [90, ['transpose=clock']],
  [180, ['hflip', 'vflip']],
  [270, ['transpose=cclock']],
]);

/** The frames of the source as they are shown, in the size that was planned. */
async function referenceOf(name: string, sourcePath: string, video: VideoInfo): Promise<string> {
  const { width, height, trackIndex, rotationDegrees } = video;
  const size = rotationDegrees % 180 === 0 ? { width, height } : { width: height, height: width };
  const filters = [
    rgbFromPiece({ ...size, colour: decodedColourOf(video) }),
    ...(TURNS.get(rotationDegrees) ?? []),
    'format=gbrp',
  ];
  const input = ['-noautorotate', '-i', sourcePath, '-map', `0:${trackIndex}`, '-vf', filters.join(',')];
  return clip(`${name}-reference.nut`, [...input, '-fps_mode', 'passthrough', '-c:v', 'ffv1']);
}

interface Expected {
  /** Why the source must not be cut; absent if it can be. */
  readonly reason?: RegExp;
  readonly frames?: number;
  readonly segmentFrames?: number;
  readonly decibelsMin?: number;
  readonly decibelsApartMax?: number;
}

/** Asserts that both ways give the same film, or that the source is not cut for the given reason and decoding gives the right one. */
async function expectSameFilm(sourcePath: string, expected: Expected = {}): Promise<void> {
  const { reason, segmentFrames = 64, decibelsMin = DECIBELS_MIN } = expected;
  const { decibelsApartMax: apartMax = DECIBELS_APART_MAX } = expected;
  const name = path.basename(sourcePath).replaceAll('.', '-');
  const video = await probeVideo(sourcePath);
  const referencePath = await referenceOf(name, sourcePath, video);
  const shown = await pictureTimes(sourcePath);
  const frames = expected.frames ?? shown.seconds.length;
  const request = { sourcePath, video, referencePath, segmentFrames };
  const cut = await splitByCutting(sourcePath, video);
  const decoded = await filmOf(
    { ...request, name: `${name}-decoded` },
    await splitByDecoding(sourcePath, video),
  );
  expectTimes(decoded, shown.seconds, shown.tickSeconds);
  expect(decoded.frames).toBe(frames);
  expect(decoded.decibels).toBeGreaterThan(decibelsMin);
  expect(typeof cut === 'string' ? cut : '').toMatch(reason ?? /^$/);
  if (typeof cut === 'string') return print(name, decoded);
  const film = await filmOf({ ...request, name: `${name}-cut` }, cut);
  print(name, decoded, film);
  expect(film.frames).toBe(frames);
  expect(film.seconds).toEqual(decoded.seconds);
  expect(Math.abs(film.decibels - decoded.decibels)).toBeLessThan(apartMax);
  expect(film.decibelsMin).toBeGreaterThan(decoded.decibelsMin - DECIBELS_APART_MAX);
}

function expectTimes(film: Film, seconds: readonly number[], tickSeconds: number): void {
  const first = seconds[0] ?? NaN;
  const worst = Math.max(
    ...seconds.map((time, index) => Math.abs(time - first - (film.seconds[index] ?? NaN))),
  );
  const isRounded = film.tickSeconds !== tickSeconds;
  expect(worst).toBeLessThanOrEqual(Math.max(film.tickSeconds, tickSeconds) * (isRounded ? 1.000_001 : 1e-6));
}

function print(name: string, ...films: readonly Film[]): void {
  const figures = films.map(
    ({ decibels, decibelsMin }) => `${decibels.toFixed(2)} (${decibelsMin.toFixed(2)})`,
  );
  process.stdout.write(`both ways, dB decoded, cut: ${name}: ${figures.join(', ')}\n`);
}

const X264 = ['-c:v', 'libx264', '-preset', 'veryfast', '-bf', '2', '-pix_fmt', 'yuv420p'];
const closed = [...X264, '-g', '25'];
const uneven = ['-vf', 'setpts=PTS+(floor(N/7)*0.05+0.012*random(1))/TB', '-fps_mode', 'vfr'];
const VP9 = '-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 25 -pix_fmt yuv420p'.split(' ');
const x265 = (params: string): string[] => ['-c:v', 'libx265', '-x265-params', `log-level=error:${params}`];

type SourceCase = readonly [title: string, name: string, args: readonly string[], frames: number];

const SOURCES: readonly SourceCase[] = [
  ['with key frames 10 s apart', 'a.mp4', [...picture({ seconds: 11 }), ...X264, '-g', '250'], 275],
  ['with one frame', 'c.mp4', [...picture({ seconds: 0.04 }), ...X264], 1],
  [
    'with a variable rate and B-frames',
    'd.mp4',
    [...picture({ seconds: 4 }), ...uneven, ...closed, '-video_track_timescale', '90000'],
    100,
  ],
  ['with 10 bits', 'f.mp4', [...picture({ seconds: 3 }), ...closed, '-pix_fmt', 'yuv420p10le'], 75],
  ['of an odd size', 'h.webm', [...picture({ seconds: 3, size: '97x53' }), ...VP9], 75],
];
const MORE_SOURCES: readonly SourceCase[] = [
  [
    'with one key frame in all',
    'b.mp4',
    [...picture({ seconds: 8 }), ...X264, '-g', '1000', '-sc_threshold', '0'],
    200,
  ],
  [
    'with a variable rate and B-frames in Matroska',
    'e.mkv',
    [...picture({ seconds: 4 }), ...uneven, ...closed],
    100,
  ],
  [
    'with 10 bits in HEVC',
    'g.mp4',
    [...picture({ seconds: 3 }), ...x265('open-gop=0:keyint=25'), '-pix_fmt', 'yuv420p10le'],
    75,
  ],
  [
    'of an odd size in 4:4:4',
    'i.mkv',
    // Its colours are as coarse as those of the result.
    [...picture({ seconds: 3, size: '97x53' }), ...closed, '-vf', 'format=yuv420p', '-pix_fmt', 'yuv444p'],
    75,
  ],
];

describe('cut or decoded, the film is the same for a source', () => {
  const cases = inForm({ short: SOURCES, long: [...SOURCES, ...MORE_SOURCES] });
  test.for(cases)('%s', async ([, name, args, frames]) => {
    await expectSameFilm(await clip(name, args), { frames });
  });

  test('whose first frames are decoded before time zero', async () => {
    const source = await clip('dts.mp4', [...picture({ seconds: 3 }), ...closed]);
    expect(await firstTimes(source)).toMatchObject({ dts: -1024, pts: 0 });
    await expectSameFilm(source, { frames: 75 });
  });

  test('whose first frames are shown before time zero', async () => {
    const early = ['-output_ts_offset', '-0.25', '-avoid_negative_ts', 'disabled'];
    // The muxer loses the negative timestamps of H.264.
    const mpeg4 = ['-c:v', 'mpeg4', '-q:v', '2', '-g', '25'];
    const source = await clip('early.mkv', [...picture({ seconds: 3 }), ...mpeg4, ...early]);
    expect((await firstTimes(source)).pts).toBe(-250);
    await expectSameFilm(source, { frames: 75 });
  });

  test('whose picture changes its size', async () => {
    const sizes = ['64x48', '96x80', '48x32'];
    const parts = sizes.map((size, number) =>
      clip(`part-${number}.ts`, [
        ...picture({ seconds: 0.8, size }),
        ...closed,
        '-output_ts_offset',
        String(number),
      ]),
    );
    const joined = `concat:${(await Promise.all(parts)).join('|')}`;
    const source = await clip('sizes.mkv', ['-i', joined, '-c', 'copy']);
    // A batch starts in a piece with two sizes.
    await expectSameFilm(source, { frames: 60, segmentFrames: 6, decibelsMin: 24 });
  });

  test('of many tiny frames', async () => {
    const frames = inForm({ short: 300, long: 20_000 });
    const source = await clip('tiny.mp4', [
      ...picture({ seconds: frames / 100, size: '16x16', rate: '100' }),
      ...X264,
      '-preset',
      'ultrafast',
    ]);
    await expectSameFilm(source, { frames, decibelsMin: 20 });
  });
});

describe('a source that cannot be cut is decoded, and the film has every frame at its time:', () => {
  test.for([
    [
      'key frames more than 10 s apart',
      'k.mp4',
      [...picture({ seconds: 11 }), ...X264, '-g', '1000', '-sc_threshold', '0'],
      /key frames are more than 10 s apart/,
    ],
    [
      'open groups of pictures, as x265 makes them',
      'l.mp4',
      [...picture({ seconds: 14 }), ...x265('frame-threads=1'), '-pix_fmt', 'yuv420p'],
      /decoded after a key frame and shown before it/,
    ],
    [
      'interlaced fields',
      'm.mp4',
      [...picture({ seconds: 3 }), ...closed, '-flags', '+ilme+ildct', '-top', '1'],
      /it is interlaced/,
    ],
    [
      'an odd size in .avi',
      'n.avi',
      [...picture({ seconds: 2, size: '97x53' }), '-c:v', 'ffv1', '-pix_fmt', 'yuv420p'],
      /codec is ffv1/,
    ],
  ] as const)('%s', async ([, name, args, reason]) => {
    await expectSameFilm(await clip(name, args), { reason });
  });

  test.for(inForm({ short: [90], long: [90, 180, 270] }))(
    'a picture that is turned by %i degrees',
    async (degrees) => {
      const upright = await clip('upright.mp4', [...picture({ seconds: 1 }), ...closed]);
      const flag = ['-metadata:s:v', `rotate=${360 - degrees}`];
      const source = await clip(`turned-${degrees}.mp4`, ['-i', upright, '-c', 'copy', ...flag]);
      // The chroma is at another side than in the result, and a filter cannot be told that it is at the right.
      await expectSameFilm(source, {
        reason: /it is rotated/,
        decibelsMin: degrees === 180 ? 24 : 26,
      });
    },
  );

  test('frames that an edit list hides', async () => {
    const whole = await clip('whole.mp4', [
      ...picture({ seconds: 6 }),
      ...tone({ seconds: 6 }),
      ...X264,
      '-g',
      '50',
    ]);
    const source = await clip('edited.mp4', ['-ss', '2.3', '-i', whole, '-t', '2', '-c', 'copy']);
    await expectSameFilm(source, { reason: /packets that are not shown/ });
  });
});

/** Videos that the project does not contain. */
const RECORDINGS = path.resolve('../shared/data/videos');

test.for(existsSync(RECORDINGS) ? readdirSync(RECORDINGS) : [])(
  'cut or decoded, the film is the same for the recording %s',
  async (name) => {
    const longest = inForm({ short: 12, long: 100_000 });
    const whole = path.join(RECORDINGS, name);
    const part = ['-i', whole, '-map', '0:v:0', '-frames:v', String(longest), '-c', 'copy'];
    await expectSameFilm(await clip(`recording-${name}`, part), {
      decibelsMin: 40,
      decibelsApartMax: RECORDING_DECIBELS_APART_MAX,
    });
  },
);

/** Of the first packet of the video track, in ticks. */
async function firstTimes(sourcePath: string): Promise<{ readonly pts: number; readonly dts: number }> {
  const fields = ['-select_streams', 'v:0', '-show_entries', 'packet=pts,dts'];
  const { packets } = (await ffprobe(sourcePath, fields)) as { packets: { pts: number; dts: number }[] };
  const [first] = packets;
  if (first === undefined) throw new Error('expected a packet');
  return first;
}
