/**
 * PURE. The ffmpeg command that makes the result from the scored frames and the source.
 *
 * Each option serves exact timestamps, reproducible output, or keeping everything that the source has. The comments give the
 * reasons; test/integration/producer/media.test.ts tests the effects.
 */
import { fromJpegColour, resultColourOf, resultTags, subsample } from '../../shared/media/colour.ts';
import { type FfmpegCommand, addSourceInput, ffmpegCommand, fileUrl } from '../../shared/media/ffmpeg.ts';
import type { VideoInfo } from '../../shared/media/video-info.ts';
import { type PlannedTrack, evenUp } from './copy-plan.ts';
import { frameTimes } from './frame-times.ts';
import { movieTimescale, trackOptions } from './join-command.ts';
import type { Timeline } from './timeline.ts';

/** Visually lossless: 49 to 51 dB on real footage with an identity model. */
const CRF = 18;
/** Fixed, because the output of x264 depends on it. With sync-lookahead off, it depends on no other property of the machine. */
const X264_THREADS = 4;

export interface EncodePlan {
  readonly timeline: Timeline;
  readonly video: VideoInfo;
  readonly sourcePath: string;
  /** Must have the extension of `video.container`. Overwritten if it exists. */
  readonly outputPath: string;
  /** The size of the frames: the upright size of the source, or a multiple. */
  readonly width: number;
  readonly height: number;
}

/** Input 0 is the frames, as Matroska on stdin. Input 1 is the source, for everything but its video. */
export function encodeCommand(
  plan: EncodePlan & {
    readonly tracks: readonly PlannedTrack[];
    /** Bitstream filters, by track index in the source. */
    readonly corrections: ReadonlyMap<number, string>;
  },
): FfmpegCommand {
  const { timeline, video, sourcePath, outputPath, tracks, corrections } = plan;
  const { numerator, denominator } = timeline.timeBase;
  const { shiftMicroseconds } = frameTimes(timeline);
  const language = video.tracks.find(({ index }) => index === video.trackIndex)?.language ?? 'und';

  const command = ffmpegCommand()
    .input('pipe:0')
    // Keep the timestamps of every input, so that audio and video stay in sync.
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
    // No random ids and no muxer version: the same frames give the same file.
    .outputOptions('-fflags', '+bitexact', '-flags:v:0', '+bitexact')
    // Matroska, the format of the frames, takes a track without a language as English.
    .outputOptions('-metadata:s:v:0', `language=${language}`);
  if (video.container === 'mkv') {
    // Audio before zero is priming, which players skip. The default would shift the video to make room for it.
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

function filters({ video, width, height }: EncodePlan): string {
  const { numerator, denominator } = video.sampleAspectRatio;
  const evenWidth = evenUp(width);
  const evenHeight = evenUp(height);
  const isEven = evenWidth === width && evenHeight === height;
  // The edge is repeated in 4:4:4, where chroma has a sample per pixel. In 4:2:0 half a sample would stay black.
  const picture = isEven
    ? [fromJpegColour({ video, width, height, pixelFormat: 'yuv420p' })]
    : [
        fromJpegColour({ video, width, height, pixelFormat: 'yuv444p' }),
        `pad=w=${evenWidth}:h=${evenHeight}:x=0:y=0`,
        `fillborders=right=${evenWidth - width}:bottom=${evenHeight - height}:mode=smear`,
        subsample(video),
      ];
  // The default precision of the ratio is 1:100, too coarse for 1215:1216. H.264 allows 16 bits.
  return [
    ...picture,
    `setsar=sar=${numerator}/${denominator}:max=65535`,
    resultTags(resultColourOf(video)),
  ].join(',');
}
