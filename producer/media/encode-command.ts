/**
 * PURE. The ffmpeg command that makes the result from the scored frames and the source.
 *
 * Each option serves exact timestamps, reproducible output, or keeping everything that the source has. The comments give the
 * reasons; test/integration/producer/media.test.ts tests the effects.
 */
import { fromJpegColour, resultColourOf, resultTags, subsample } from '../../shared/media/colour.ts';
import { type FfmpegCommand, ffmpegCommand } from '../../shared/media/ffmpeg.ts';
import { evenUp } from './copy-plan.ts';
import { type PlannedResult, type ResultPlan, addResult } from './join-command.ts';

/** Visually lossless: 49 to 51 dB on real footage with an identity model. */
const CRF = 18;
/** Fixed, because the output of x264 depends on it. With sync-lookahead off, it depends on no other property of the machine. */
const X264_THREADS = 4;

export interface EncodePlan extends ResultPlan {
  /** The size of the frames: the upright size of the source, or a multiple. */
  readonly width: number;
  readonly height: number;
}

/** Input 0 is the frames, as Matroska on stdin. Input 1 is the source, for everything but its video. */
export function encodeCommand(plan: EncodePlan & PlannedResult): FfmpegCommand {
  const { numerator, denominator } = plan.timeline.timeBase;
  const command = ffmpegCommand()
    .input('pipe:0')
    // Keep the timestamps of every input, so that audio and video stay in sync.
    .inputOptions('-copyts', '-protocol_whitelist', 'pipe', '-f', 'matroska', '-noautorotate');
  return addResult(command, plan)
    .outputOptions('-c:v:0', 'libx264', '-preset:v:0', 'medium', '-crf:v:0', String(CRF))
    .outputOptions('-filter:v:0', filters(plan), '-pix_fmt:v:0', 'yuv420p')
    .outputOptions('-fps_mode:v:0', 'passthrough', '-enc_time_base:v:0', `${numerator}:${denominator}`)
    .outputOptions('-threads:v:0', String(X264_THREADS), '-x264-params:v:0', 'sync-lookahead=0:chromaloc=0')
    .outputOptions('-flags:v:0', '+bitexact');
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
