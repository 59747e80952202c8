/**
 * PURE. The ffmpeg command that makes the result from the joined video track and the source.
 *
 * Each option serves exact timestamps, reproducible output, or keeping everything that the source has. The comments give the
 * reasons; test/integration/producer/media.test.ts tests the effects.
 */
import type { Encoding, ResultContainer } from '../../shared/contract/encoding.ts';
import type { FrameSize } from '../../shared/contract/segment.ts';
import { type FfmpegCommand, addSourceInput, ffmpegCommand, fileUrl } from '../../shared/media/ffmpeg.ts';
import type { VideoInfo } from '../../shared/media/video-info.ts';
import type { PlannedTrack } from './copy-plan.ts';
import { frameTimes } from './frame-times.ts';
import type { Timeline } from './timeline.ts';

/** What every result is made from besides its video track. */
export interface ResultPlan {
  readonly timeline: Timeline;
  readonly video: VideoInfo;
  readonly sourcePath: string;
  /** Must have the extension of `video.container`. Overwritten if it exists. */
  readonly outputPath: string;
  /** Of the segments. */
  readonly encoding: Encoding;
}

export interface PlannedResult extends ResultPlan {
  readonly tracks: readonly PlannedTrack[];
  /** Bitstream filters, by track index in the source. */
  readonly corrections: ReadonlyMap<number, string>;
  /** Of the joined track, in pixels. */
  readonly frameSize: FrameSize;
}

/** Of frames that ffmpeg has read from stdin and not written yet, if they take as much room as without compression. */
const WAITING_BYTES_MAX = 64 * 1024 * 1024;
/** ffmpeg's own default is the minimum. */
const WAITING_FRAMES = { min: 8, max: 512 };

/**
 * Input 0 is the joined video track, as fragmented MP4 on stdin, with timestamps that are `leadSeconds` too late. Input 1 is the source,
 * for everything but its video.
 */
export function joinCommand(plan: PlannedResult, leadSeconds: number): FfmpegCommand {
  const { timeline, video, sourcePath, outputPath, encoding, tracks, corrections, frameSize } = plan;
  const { shiftMicroseconds } = frameTimes(timeline);
  const { denominator } = timeline.timeBase;
  const language = video.tracks.find(({ index }) => index === video.trackIndex)?.language ?? 'und';
  const command = ffmpegCommand()
    .input('pipe:0')
    // Keep the timestamps of every input, so that audio and video stay in sync.
    .inputOptions('-copyts', '-protocol_whitelist', 'pipe', '-f', 'mp4')
    // When this queue is empty, ffmpeg 5 sleeps for 10 ms.
    .inputOptions('-thread_queue_size', String(framesWaitingMax(frameSize)))
    .inputOptions('-itsoffset', `${shiftMicroseconds - BigInt(leadSeconds) * 1_000_000n}us`);
  addSourceInput(command, sourcePath)
    .inputOptions('-itsoffset', `${shiftMicroseconds}us`)
    .output(fileUrl(outputPath))
    .outputOptions('-y', '-map', '0:v:0')
    .outputOptions(
      ...tracks.flatMap(({ track }) => ['-map', `1:${track.index}`]),
      '-map_metadata',
      '1',
      '-map_chapters',
      '1',
    )
    .outputOptions(...trackOptions({ tracks, corrections, container: video.container, first: 1 }))
    // No random ids and no muxer version: the same video track gives the same file.
    .outputOptions('-fflags', '+bitexact')
    // Matroska takes a track without a language as English.
    .outputOptions('-metadata:s:v:0', `language=${language}`, '-metadata:s:v:0', 'handler_name=VideoHandler');
  if (video.container === 'mkv') {
    // Audio before zero is priming, which players skip. The default would shift the video to make room for it.
    return command.outputOptions('-avoid_negative_ts', 'disabled');
  }
  // Players of Apple require the tag hvc1.
  if (encoding.codec === 'hevc') command.outputOptions('-tag:v:0', 'hvc1');
  return command
    .outputOptions('-video_track_timescale', String(denominator))
    .outputOptions('-movie_timescale', String(movieTimescale(denominator, tracks)));
}

function framesWaitingMax({ width, height }: FrameSize): number {
  const frames = Math.floor(WAITING_BYTES_MAX / (width * height * 1.5));
  return Math.min(WAITING_FRAMES.max, Math.max(WAITING_FRAMES.min, frames));
}

export interface WrittenTracks {
  readonly tracks: readonly PlannedTrack[];
  readonly corrections: ReadonlyMap<number, string>;
  readonly container: ResultContainer;
  /** The index of the first of these tracks in the result. */
  readonly first: number;
}

/**
 * Options for the tracks besides the video. `experimental` allows audio that cameras and discs use (FLAC and TrueHD in .mp4), which
 * ffmpeg's muxer rejects by default.
 */
export function trackOptions({ tracks, corrections, container, first }: WrittenTracks): readonly string[] {
  const options = [
    '-c',
    'copy',
    '-strict',
    'experimental',
    '-f',
    container === 'mkv' ? 'matroska' : container,
  ];
  for (const [position, { track, codec }] of tracks.entries()) {
    const filter = corrections.get(track.index);
    if (codec !== 'copy') options.push(`-c:${first + position}`, codec);
    else if (filter !== undefined) options.push(`-bsf:${first + position}`, filter);
  }
  return options;
}

/**
 * Ticks per second for the edit lists of an .mp4, which state when each track starts and how much audio priming to skip. Returns
 * the smallest value that fits video and audio exactly. A coarser value would shift the audio by up to a frame.
 */
function movieTimescale(videoTimescale: number, tracks: readonly PlannedTrack[]): number {
  const rates = tracks.map(({ track }) => track.sampleRateHz ?? 1);
  const exact = rates.reduce(
    (scale, rate) => (scale * rate) / greatestCommonDivisor(scale, rate),
    videoTimescale,
  );
  return exact < 2 ** 31 ? exact : videoTimescale;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
