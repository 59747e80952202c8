/**
 * Pieces that are not what the plan says, given to a real engine: it reports a mismatch or scores the frames that the piece shows, stores no
 * wrong frame, lives on, and keeps its memory.
 */
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { jpegPieceFormat } from '../../../producer/media/jpeg-pieces.ts';
import { matroskaFrame, matroskaHeader } from '../../../producer/media/matroska.ts';
import { pieceBlob, segmentBlob } from '../../../shared/contract/blob-names.ts';
import type { PieceFormat } from '../../../shared/contract/piece.ts';
import type { FrameRange } from '../../../shared/contract/ranges.ts';
import { systemClock } from '../../../shared/runtime/clock.ts';
import { EngineProcess, type RunEnd } from '../../../worker/engine/engine-process.ts';
import { buildBatch } from '../../support/build-batch.ts';
import { firstSplit } from '../../support/build-job.ts';
import { inForm, printedSeed } from '../../support/fault-form.ts';
import { fuzzedClip } from '../../support/fuzz-media.ts';
import { H264, ffmpeg, ffmpegOutput, picture } from '../../support/media-clips.ts';
import { pieceFormatOf } from '../../support/media-round-trip.ts';
import { processesOf } from '../../support/processes.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { silentLog } from '../../support/silent-log.ts';
import { WorkerFixture } from '../../support/worker-fixture.ts';

const ENGINE = fileURLToPath(new URL('../../../worker/engine/main.ts', import.meta.url));
const FRAMES = 24;
/** No other test decodes pieces of this size, so their decoders can be told from others. */
const FRAME_SIZE = { width: 72, height: 56 };
const SIZE = '72x56';
const SEGMENTS: readonly FrameRange[] = [
  [0, 8],
  [8, 16],
  [16, 24],
];
/** Of the engine, whose model has no weights, and of a decoder. */
const ENGINE_MIB_MAX = 400;
const DECODER_MIB_MAX = 400;
/** Looking at all processes costs CPU time. */
const LOOK_MS = 60;
const FUZZED = inForm({ short: 4, long: 200 });

let fixture: WorkerFixture;
let engine: EngineProcess;
let pid: number | undefined;
let format: PieceFormat;
let piece: Buffer;
/** What the engine stores for the piece as planned, by segment. */
let honest: ReadonlyMap<string, string>;
let model: ReturnType<typeof buildBatch>['model'];
let jobs = 0;
const deaths: string[] = [];

const at = (name: string): string => path.join(fixture.folder, name);

beforeAll(async () => {
  fixture = await WorkerFixture.open();
  ({ model } = await fixture.storeBatch('job-model', ['ordinary'], { model: 'identity' }));
  const { media, system } = fixture.storage.connection;
  engine = new EngineProcess({
    environment: {
      PATH: process.env['PATH'] ?? '',
      FRAMEFLEET_MEDIA_STORAGE: media,
      FRAMEFLEET_SYSTEM_STORAGE: system,
      FRAMEFLEET_MODEL_CACHE: at('cache'),
      FRAMEFLEET_LOCAL_FOLDER: fixture.folder,
    },
    programPath: ENGINE,
    limits: { stuckMs: 300_000, loadMs: 300_000 },
    clock: systemClock,
    log: silentLog,
    onDeath: (how) => deaths.push(how),
    onLoaded: () => undefined,
    onReduced: () => undefined,
  });
  await ffmpeg([...picture({ size: SIZE, seconds: FRAMES / 25 }), ...H264, at('clip.mp4')]);
  format = await pieceFormatOf(at('clip.mp4'));
  piece = await nut(['-i', at('clip.mp4'), '-c', 'copy']);
  honest = (await runPiece(piece)).stored;
  ({ pid } = engine);
});
afterAll(async () => {
  await engine.stop();
  await fixture[Symbol.asyncDispose]();
});

/** What ffmpeg makes with these arguments, as a piece. */
function nut(args: readonly string[]): Promise<Buffer> {
  return ffmpegOutput([...args, '-map', '0:v:0', '-fflags', '+bitexact', '-f', 'nut', '-']);
}

/** A raw stream of pictures, 25 a second. */
function stream(size: string, args: readonly string[] = [], frames = FRAMES): Promise<Buffer> {
  const codec = ['-c:v', 'libx264', '-preset', 'veryfast', '-bf', '0', '-pix_fmt', 'yuv420p'];
  const input = picture({ size, seconds: frames / 25 });
  return ffmpegOutput([...input, ...codec, ...args, '-f', 'h264', '-']);
}

/** A piece of raw streams, one after the other. */
async function pieceOf(...streams: readonly Buffer[]): Promise<Buffer> {
  const file = at('streams.h264');
  await writeFile(file, Buffer.concat(streams));
  return nut(['-f', 'h264', '-i', file, '-c', 'copy']);
}

interface PieceOutcome {
  readonly end: RunEnd;
  /** The hash of each segment in storage, by its frames. */
  readonly stored: ReadonlyMap<string, string>;
  /** Of the decoders that were seen. */
  readonly decoderMibMax: number;
}

/** Runs segments of a job that has only this piece. */
async function runPiece(
  bytes: Buffer,
  {
    pieceFormat = format,
    segments = SEGMENTS,
  }: { pieceFormat?: PieceFormat; segments?: readonly FrameRange[] } = {},
): Promise<PieceOutcome> {
  jobs += 1;
  const split = firstSplit(`job-${jobs}`);
  const { blobs } = fixture.storage;
  await blobs.put('pieces', pieceBlob(split, 0, pieceFormat), bytes);
  const batch = buildBatch({
    ...split,
    model,
    parameters: {},
    pieceFormat,
    pieces: [[0, FRAMES]],
    segmentFrames: 8,
  });
  const listener = {
    computed: () => undefined,
    failed: () => undefined,
    answer: () => Promise.resolve(true),
    stored: () => undefined,
  };
  const never = new AbortController().signal;
  const request = { ...batch, segments: segments.map((frames) => ({ frames, givenUp: [], careful: [] })) };
  let decoderMibMax = 0;
  const running = engine.run(request, listener, { stop: never, discard: never });
  const over = new AbortController();
  void running.finally(() => over.abort());
  while (!over.signal.aborted) {
    decoderMibMax = Math.max(decoderMibMax, await largestDecoderMib());
    await systemClock.sleep(LOOK_MS);
  }
  const end = await running;
  const stored = new Map<string, string>();
  for (const frames of SEGMENTS) {
    const segment = await blobs.get('scored', segmentBlob(split, frames));
    if (segment !== undefined) stored.set(String(frames), createHash('md5').update(segment).digest('hex'));
  }
  return { end, stored, decoderMibMax };
}

/** The memory of the largest decoder. */
async function largestDecoderMib(): Promise<number> {
  const decoders = await processesOf(`zscale=w=${FRAME_SIZE.width}:h=${FRAME_SIZE.height}:`);
  return Math.max(0, ...(await Promise.all(decoders.map((decoder) => mibOf(decoder.pid)))));
}

/** The largest resident size that a process has had. 0 if it has ended. */
async function mibOf(child: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${child}/status`, 'utf8').catch(() => '');
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
}

function expectMismatch({ end }: PieceOutcome, message: RegExp): void {
  expect(end).toEqual({
    kind: 'refused',
    refusal: {
      kind: 'piece',
      isPermanent: false,
      code: 'MEDIA_TOOL_FAILED',
      message: expect.stringMatching(message) as string,
    },
  });
}

/** The engine is the same process as before, and small. */
async function expectSoundEngine({ decoderMibMax }: PieceOutcome): Promise<void> {
  expect(deaths).toEqual([]);
  expect(engine.pid).toBe(pid);
  expect(await mibOf(pid)).toBeLessThan(ENGINE_MIB_MAX);
  expect(decoderMibMax).toBeLessThan(DECODER_MIB_MAX);
}

/** Every stored segment is one of the honest piece. */
function expectOnlyHonestSegments({ stored }: PieceOutcome): void {
  for (const [frames, hash] of stored) expect(hash).toBe(honest.get(frames));
}

function cut(share: number): Promise<Buffer> {
  return Promise.resolve(piece.subarray(0, Math.floor(piece.length * share)));
}

test('the piece as planned is scored', () => {
  expect([...honest.keys()]).toEqual(SEGMENTS.map(String));
});

describe('a mismatch is reported, and no wrong frame is stored, for a piece', () => {
  test.for<readonly [title: string, make: () => Promise<Buffer>, message: RegExp]>([
    [
      'with one frame too few',
      () => nut(['-i', at('clip.mp4'), '-c', 'copy', '-frames:v', String(FRAMES - 1)]),
      /expected 24 frames, decoded 2[0-3]|ffmpeg/,
    ],
    [
      'with one frame too many',
      async () => pieceOf(await stream(SIZE, [], FRAMES + 1)),
      /expected 24 frames, decoded more/,
    ],
    [
      'in another codec',
      () => nut(['-i', at('clip.mp4'), '-c:v', 'mpeg4']),
      /not on whitelist|decoder|expected 24/i,
    ],
    [
      'in another container',
      () => ffmpegOutput(['-i', at('clip.mp4'), '-c', 'copy', '-f', 'matroska', '-']),
      /ffmpeg failed/,
    ],
    ['that is cut off near its start', () => cut(0.1), /ffmpeg|expected 24/],
    ['that is cut off in its middle', () => cut(0.5), /ffmpeg|expected 24/],
    ['of zero bytes', () => Promise.resolve(Buffer.alloc(0)), /ffmpeg failed/],
    ['of zeros', () => Promise.resolve(Buffer.alloc(100_000)), /ffmpeg failed/],
    [
      'of noise',
      () => {
        const random = seededRandom(1);
        return Promise.resolve(Buffer.from(Array.from({ length: 100_000 }, () => random() * 256)));
      },
      /ffmpeg failed/,
    ],
    [
      'of noise after its header',
      () => {
        const random = seededRandom(2);
        const noise = Buffer.from(Array.from({ length: 100_000 }, () => random() * 256));
        return Promise.resolve(Buffer.concat([piece.subarray(0, 400), noise]));
      },
      /ffmpeg|expected 24/,
    ],
    [
      'whose pictures are too large for the plan',
      async () => pieceOf(await stream('1024x768')),
      /Picture size 1024x768 exceeds specified max pixel count/,
    ],
    [
      'whose pictures become too large midway',
      async () => pieceOf(await stream(SIZE, [], 16), await stream('1024x768', [], 8)),
      /expected 24 frames, decoded 16/,
    ],
    [
      'with many more frames than planned',
      () => nut(['-stream_loop', '1000', '-i', at('clip.mp4'), '-c', 'copy']),
      /expected 24 frames, decoded more/,
    ],
  ])('%s', async ([, make, message]) => {
    const outcome = await runPiece(await make());
    expectMismatch(outcome, message);
    expect(outcome.stored.has(String(SEGMENTS[2]))).toBe(false);
    await expectSoundEngine(outcome);
  });

  test('that is cut off: its earlier segments are those of the whole piece', async () => {
    const outcome = await runPiece(await cut(0.97));
    expect(outcome.end.kind).toBe('refused');
    expectOnlyHonestSegments(outcome);
  });

  test('whose timestamps go back', async () => {
    const jpegs = await testJpegs();
    const back = jpegs.map((_, index) => (index < 20 ? index : 30 - index));
    const outcome = await runPiece(jpegPiece(jpegs, back), { pieceFormat: JPEG_FORMAT });
    expectMismatch(outcome, /non monotonically increasing/);
    expect(outcome.stored.has(String(SEGMENTS[2]))).toBe(false);
    await expectSoundEngine(outcome);
  });

  test('of JPEGs that decode to a huge picture', async () => {
    const jpegs = await testJpegs();
    const bomb = Buffer.from(jpegs[20] ?? '');
    // Height and width in the frame header.
    bomb.writeUInt32BE(0x4000_4000, bomb.indexOf('ffc0', undefined, 'hex') + 5);
    const frames = jpegs.map((jpeg, index) => (index < 20 ? jpeg : bomb));
    const outcome = await runPiece(jpegPiece(frames), { pieceFormat: JPEG_FORMAT });
    expectMismatch(outcome, /expected 24 frames, decoded 20/);
    expect(outcome.stored.has(String(SEGMENTS[2]))).toBe(false);
    await expectSoundEngine(outcome);
  });
});

const JPEG_FORMAT = jpegPieceFormat(FRAME_SIZE);

/** The frames of the test picture. */
async function testJpegs(): Promise<Buffer[]> {
  const args = ['-c:v', 'mjpeg', '-pix_fmt', 'yuvj420p', '-f', 'image2pipe', '-'];
  const all = await ffmpegOutput([...picture({ size: SIZE, seconds: FRAMES / 25 }), ...args]);
  const starts = [...all.toString('latin1').matchAll(/\u00ff\u00d8\u00ff/g)].map(({ index }) => index);
  expect(starts).toHaveLength(FRAMES);
  return starts.map((start, index) => all.subarray(start, starts[index + 1]));
}

/** A piece of a decoded source. Timestamps in frames. */
function jpegPiece(
  jpegs: readonly Buffer[],
  timestamps: readonly number[] = jpegs.map((_, index) => index),
): Buffer {
  const frameNanoseconds = 40_000_000;
  return Buffer.concat([
    matroskaHeader({ ...FRAME_SIZE, frameNanoseconds }),
    ...jpegs.flatMap((jpeg, index) =>
      matroskaFrame(BigInt(timestamps[index] ?? 0) * BigInt(frameNanoseconds), jpeg),
    ),
  ]);
}

describe('a piece whose frames are all there is scored', () => {
  test('whatever the time between them', async () => {
    const jpegs = await testJpegs();
    const ascending = await runPiece(jpegPiece(jpegs), { pieceFormat: JPEG_FORMAT });
    const uneven = jpegs.map((_, index) => index ** 4 - (index % 2));
    const outcome = await runPiece(jpegPiece(jpegs, uneven), { pieceFormat: JPEG_FORMAT });
    expect(outcome.end).toEqual({ kind: 'ended' });
    expect(outcome.stored.size).toBe(SEGMENTS.length);
    expect(outcome.stored).toEqual(ascending.stored);
    await expectSoundEngine(outcome);
  });

  type PieceCase = readonly [title: string, make: () => Promise<Buffer>];
  const whole: readonly PieceCase[] = [
    ['in another size', async () => pieceOf(await stream('96x64'))],
    ['in another pixel format', async () => pieceOf(await stream(SIZE, ['-pix_fmt', 'yuv444p10le']))],
  ];
  const changing: readonly PieceCase[] = [
    [
      'with a size that changes',
      async () =>
        pieceOf(await stream(SIZE, [], 12), await stream('96x64', [], 6), await stream('32x16', [], 6)),
    ],
    [
      'with a pixel format that changes',
      async () => pieceOf(await stream(SIZE, [], 12), await stream(SIZE, ['-pix_fmt', 'yuv444p'], 12)),
    ],
  ];
  test.for(inForm({ short: changing, long: [...whole, ...changing] }))(
    '%s: each segment alone is the same as with its neighbours',
    async ([, make]) => {
      const bytes = await make();
      const together = await runPiece(bytes);
      expect(together.end).toEqual({ kind: 'ended' });
      expect(together.stored.size).toBe(SEGMENTS.length);
      expect(new Set(together.stored.values()).size).toBe(SEGMENTS.length);
      for (const segment of SEGMENTS.slice(1)) {
        const alone = await runPiece(bytes, { segments: [segment] });
        expect(alone.end).toEqual({ kind: 'ended' });
        expect(alone.stored).toEqual(new Map([[String(segment), together.stored.get(String(segment))]]));
      }
      await expectSoundEngine(together);
    },
  );
});

test(`${FUZZED} pieces with changed bytes are scored or a mismatch`, async () => {
  const random = seededRandom(printedSeed('fuzzed pieces'));
  const ends = { ended: 0, refused: 0, died: 0 };
  for (let index = 0; index < FUZZED; index += 1) {
    const { bytes, how } = fuzzedClip(piece, index % 2 === 0 ? 'header' : 'body', random);
    const outcome = await runPiece(bytes);
    ends[outcome.end.kind] += 1;
    const { end } = outcome;
    const kind = end.kind === 'refused' ? end.refusal.kind : end.kind;
    expect({ how, kind: ['ended', 'piece'].includes(kind) ? 'expected' : end }).toEqual({
      how,
      kind: 'expected',
    });
    await expectSoundEngine(outcome);
  }
  process.stdout.write(`fuzzed pieces: ${JSON.stringify(ends)}\n`);
  const last = await runPiece(piece);
  expect(last.stored).toEqual(honest);
});
