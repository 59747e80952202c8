/**
 * PURE. Compares a result with its source: frames, their times, the duration, and the sound.
 *
 * The join checks each result with it before a job is completed, and `npm run verify` compares two files.
 */
import type { SourceTrack, VideoInfo } from '../../shared/media/video-info.ts';
import type { SoundFacts } from './media-facts.ts';
import { type Timeline, durationSeconds, secondsPerTick, typicalFrameSeconds } from './timeline.ts';

/** Headers round durations to the container's tick, which is at most 1 ms. */
const ROUNDING_SECONDS = 0.001;
/** Of a tick, for the errors of floating-point numbers. */
const TICKS_ALLOWED = 1.001;
/** ffprobe prints times to the microsecond. */
const PRINTED_SECONDS = 0.000_001;

/**
 * same     as it must be
 * note     differs, and may: a model can change the size of the frames, and a container can require another codec
 * differs  the result is not what it has to be
 */
export type Verdict = 'same' | 'note' | 'differs';

export interface MediaCheck {
  readonly what: string;
  readonly source: string;
  readonly result: string;
  readonly verdict: Verdict;
}

/** What says how the frames of a result must be timed. */
export interface ExpectedFrames {
  readonly timeline: Timeline;
  /** The rate of the source. */
  readonly framesPerSecond: number;
}

export interface FoundFrames {
  readonly timeline: Timeline;
  /** According to its header. */
  readonly durationSeconds: number | undefined;
}

export function compareFrameCount(expected: ExpectedFrames, found: FoundFrames): MediaCheck {
  const [source, result] = [expected.timeline.pts.length, found.timeline.pts.length];
  return {
    what: 'Frames',
    source: String(source),
    result: String(result),
    verdict: source === result ? 'same' : 'differs',
  };
}

/**
 * Each frame must be shown within one tick of the coarser time base. A source that starts below zero is shifted to zero. For results with as
 * many frames.
 */
export function compareFrameTimes(
  { timeline: source }: ExpectedFrames,
  { timeline: result }: FoundFrames,
): MediaCheck {
  const [sourceTick, resultTick] = [secondsPerTick(source), secondsPerTick(result)];
  const allowed = Math.max(sourceTick, resultTick) * TICKS_ALLOWED;
  const shift = Math.min(0, source.pts[0] ?? 0);
  let wrong: { readonly frameIndex: number; readonly expected: number; readonly found: number } | undefined;
  let wrongCount = 0;
  for (const [frameIndex, ticks] of source.pts.entries()) {
    const expected = (ticks - shift) * sourceTick;
    const found = (result.pts[frameIndex] ?? Number.NaN) * resultTick;
    if (Math.abs(found - expected) <= allowed) continue;
    wrong ??= { frameIndex, expected, found };
    wrongCount += 1;
  }
  if (wrong === undefined)
    return {
      what: 'Times',
      source: `first ${secondsText((source.pts[0] ?? 0) * sourceTick)}`,
      result: `each within ${secondsText(allowed / TICKS_ALLOWED)}`,
      verdict: 'same',
    };
  const { frameIndex, expected, found } = wrong;
  return {
    what: 'Times',
    source: `frame ${frameIndex} at ${secondsText(expected)}`,
    result: `at ${secondsText(found)}${wrongCount > 1 ? `, and ${wrongCount - 1} more` : ''}`,
    verdict: 'differs',
  };
}

export function compareDuration(
  expected: ExpectedFrames,
  { durationSeconds: found = 0 }: FoundFrames,
): MediaCheck {
  const seconds = durationSeconds(expected.timeline, expected);
  const allowed = lastFrameSecondsMax(expected) + ROUNDING_SECONDS;
  return {
    what: 'Duration',
    source: secondsText(seconds),
    result: secondsText(found),
    verdict: Math.abs(found - seconds) <= allowed ? 'same' : 'differs',
  };
}

/** No container states the duration of the last frame. It may be a typical one, that of the frame before, or the average. */
function lastFrameSecondsMax({ timeline, framesPerSecond }: ExpectedFrames): number {
  const lastGapTicks = (timeline.pts.at(-1) ?? 0) - (timeline.pts.at(-2) ?? Infinity);
  const lastGapSeconds = lastGapTicks * secondsPerTick(timeline);
  return Math.max(typicalFrameSeconds(timeline, { framesPerSecond }), lastGapSeconds, 1 / framesPerSecond);
}

export function compareAudioTrackCount(source: number, result: number): MediaCheck {
  return {
    what: 'Audio tracks',
    source: String(source),
    result: String(result),
    verdict: source === result ? 'same' : 'differs',
  };
}

/** The upright picture. A model may change its size, and an encoder makes odd sizes even. */
export function comparePicture(source: VideoInfo, result: VideoInfo): MediaCheck[] {
  const row = (what: string, textOf: (video: VideoInfo) => string): MediaCheck => ({
    what,
    source: textOf(source),
    result: textOf(result),
    verdict: textOf(source) === textOf(result) ? 'same' : 'note',
  });
  return [
    row('Size', ({ width, height }) => `${width} x ${height}`),
    row('Pixel shape', ({ sampleAspectRatio: { numerator, denominator } }) => `${numerator}:${denominator}`),
    row('Colour', ({ colour, bitDepth }) => {
      const { matrix, range, primaries, transfer } = colour;
      const names = [matrix, primaries, transfer].map((name) => name ?? 'not stated');
      return [...new Set(names), range ?? 'range not stated', `${bitDepth} bit`].join(', ');
    }),
  ];
}

/** How the sound of a track compares: `samples` tells whether both decode to the same, where the packets differ. */
export function compareSoundTrack(
  source: SoundFacts,
  result: SoundFacts,
  {
    shiftSeconds,
    samples,
  }: { readonly shiftSeconds: number; readonly samples: 'same' | 'differ' | 'not needed' },
): MediaCheck[] {
  const what = `Audio track ${source.index}`;
  if (samples === 'differ')
    return [
      { what, source: soundText(source), result: `${soundText(result)}, other sound`, verdict: 'differs' },
    ];
  if (samples === 'same')
    return [
      { what, source: soundText(source), result: `${soundText(result)}, same samples`, verdict: 'note' },
    ];
  const late = source.times.findIndex(
    (seconds, index) =>
      Math.abs((result.times[index] ?? Number.NaN) - (seconds + shiftSeconds)) >
      ROUNDING_SECONDS + PRINTED_SECONDS,
  );
  const packets: MediaCheck = { what, source: soundText(source), result: soundText(result), verdict: 'same' };
  if (late === -1) return [packets];
  return [
    packets,
    {
      what: `${what}, times`,
      source: `packet ${late} at ${secondsText((source.times[late] ?? 0) + shiftSeconds)}`,
      result: `at ${secondsText(result.times[late] ?? 0)}`,
      verdict: 'differs',
    },
  ];
}

export function hasSamePackets(source: SoundFacts, result: SoundFacts): boolean {
  return source.packetCount === result.packetCount && source.digest === result.digest;
}

/** Tracks and chapters besides picture and sound: not every container can hold them. */
export function compareExtras(
  source: { readonly video: VideoInfo; readonly chapterCount: number },
  result: { readonly video: VideoInfo; readonly chapterCount: number },
): MediaCheck[] {
  const rows = [
    ['Subtitles', countOf(source.video, 'subtitle'), countOf(result.video, 'subtitle')],
    ['Attachments', countOf(source.video, 'attachment'), countOf(result.video, 'attachment')],
    ['Chapters', source.chapterCount, result.chapterCount],
  ] as const;
  return rows
    .filter(([, before, after]) => before > 0 || after > 0)
    .map(([what, before, after]) => ({
      what,
      source: String(before),
      result: String(after),
      verdict: before === after ? 'same' : 'note',
    }));
}

function countOf({ tracks }: VideoInfo, kind: SourceTrack['kind']): number {
  return tracks.filter((track) => track.kind === kind).length;
}

function soundText({ codec, packetCount }: SoundFacts): string {
  return `${codec}, ${packetCount} packets`;
}

function secondsText(seconds: number): string {
  return `${Number(seconds.toFixed(6))} s`;
}
