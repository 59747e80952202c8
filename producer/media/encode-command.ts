/**
 * PURE. What ffmpeg is told to do with the scored frames and the source.
 *
 * Each option is here for one of three reasons: exact times, the same bytes each time, or nothing lost that the source
 * has. How they were found is in the comments; test/integration/producer/media.test.ts holds them.
 */
import { type FfmpegCommand, addSourceInput, ffmpegCommand, fileUrl } from '../../shared/media/ffmpeg.ts';
import type { ResultContainer, VideoInfo } from '../../shared/media/video-info.ts';
import { fromJpegColour, resultTags, subsample } from './colour.ts';
import { type PlannedTrack, evenUp } from './copy-plan.ts';
import { frameTimes } from './frame-times.ts';
import type { Timeline } from './timeline.ts';

/** Visually lossless: 49 to 51 dB on real footage through a model that changes nothing. */
const CRF = 18;
/** x264's output depends on it, so it is fixed whatever the machine; with no sync-lookahead it depends on nothing else. */
const X264_THREADS = 4;

export interface EncodePlan {
  readonly timeline: Timeline;
  readonly video: VideoInfo;
  readonly sourcePath: string;
  /** Its ending is that of `video.container`. It is overwritten. */
  readonly outputPath: string;
  /** Of the frames: the source's upright size, or a multiple. */
  readonly width: number;
  readonly height: number;
}

/** The first input is the frames as Matroska on stdin, the second the source, for all but its picture. */
export function encodeCommand(
  plan: EncodePlan & {
    readonly tracks: readonly PlannedTrack[];
    /** Bitstream filters, by the track's index in the source. */
    readonly corrections: ReadonlyMap<number, string>;
  },
): FfmpegCommand {
  const { timeline, video, sourcePath, outputPath, tracks, corrections } = plan;
  const { numerator, denominator } = timeline.timeBase;
  const { shiftMicroseconds } = frameTimes(timeline);
  const language = video.tracks.find(({ index }) => index === video.trackIndex)?.language ?? 'und';

  const command = ffmpegCommand()
    .input('pipe:0')
    // Every input keeps its own clock, so that sound and picture keep their distance.
    .inputOptions('-copyts', '-protocol_whitelist', 'pipe', '-f', 'matroska', '-noautorotate');
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
    .outputOptions('-c:v:0', 'libx264', '-preset:v:0', 'medium', '-crf:v:0', String(CRF))
    .outputOptions('-filter:v:0', filters(plan), '-pix_fmt:v:0', 'yuv420p')
    .outputOptions('-fps_mode:v:0', 'passthrough', '-enc_time_base:v:0', `${numerator}:${denominator}`)
    .outputOptions('-threads:v:0', String(X264_THREADS), '-x264-params:v:0', 'sync-lookahead=0:chromaloc=0')
    // No random ids, no version of the muxer: the same frames give the same file.
    .outputOptions('-fflags', '+bitexact', '-flags:v:0', '+bitexact')
    // Matroska, in which the frames come, takes a track without a language for English.
    .outputOptions('-metadata:s:v:0', `language=${language}`);
  if (video.container === 'mkv') {
    // Sound that begins below zero is priming, which nobody shall hear: the default moves the picture for it.
    command.outputOptions('-avoid_negative_ts', 'disabled');
  } else {
    command
      .outputOptions('-video_track_timescale', String(denominator))
      .outputOptions(
        '-movie_timescale',
        String(movieTimescale(denominator, tracks)),
        '-movflags',
        '+faststart',
      );
  }
  return command;
}

/**
 * How the tracks besides the picture are written, the first of them as track `first` of the result. Some sound that files of
 * cameras and discs have (FLAC and TrueHD in .mp4) is experimental to ffmpeg's muxer.
 */
export function trackOptions(written: {
  readonly tracks: readonly PlannedTrack[];
  readonly corrections: ReadonlyMap<number, string>;
  readonly container: ResultContainer;
  readonly first: number;
}): readonly string[] {
  const { tracks, corrections, container, first } = written;
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

function filters({ video, width, height }: EncodePlan): string {
  const { numerator, denominator } = video.sampleAspectRatio;
  const evenWidth = evenUp(width);
  const evenHeight = evenUp(height);
  const isEven = evenWidth === width && evenHeight === height;
  // The edge is repeated while chroma still has a sample for each pixel: in 4:2:0 half a sample would stay black.
  const picture = isEven
    ? [fromJpegColour({ video, width, height, pixelFormat: 'yuv420p' })]
    : [
        fromJpegColour({ video, width, height, pixelFormat: 'yuv444p' }),
        `pad=w=${evenWidth}:h=${evenHeight}:x=0:y=0`,
        `fillborders=right=${evenWidth - width}:bottom=${evenHeight - height}:mode=smear`,
        subsample(video),
      ];
  // The ratio's default accuracy is 1:100, which bends 1215:1216; H.264 says 16 bits at most.
  return [...picture, `setsar=sar=${numerator}/${denominator}:max=65535`, resultTags(video)].join(',');
}

/**
 * Ticks for the edit lists, in which an .mp4 says when each track begins and which priming of the sound to skip: the
 * smallest that picture and sound both fit exactly. A coarser one would move the sound by up to a frame.
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
