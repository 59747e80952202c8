/** How the frames of a job are encoded: what the job asks for, and the properties of the source that the result keeps. PURE. */
import { z } from 'zod';

const name = z.string().regex(/^[a-z0-9-]{1,32}$/);
/** H.264 has 16 bits for each part of a pixel's shape. */
export const RATIO_PART_MAX = 65_535;
const ratioPart = z.int().min(1).max(RATIO_PART_MAX);

/** What happens to the video if a frame cannot be scored. */
export const FAILED_FRAME_POLICIES = ['fail', 'keep-original', 'repeat-previous'] as const;
export type FailedFramePolicy = (typeof FAILED_FRAME_POLICIES)[number];

/** Properties of the source's picture that the result keeps. */
export const pictureFormat = z.object({
  /** The average. The encoder's nominal rate: the timestamps of the result are those of the source. */
  framesPerSecond: z.number().positive().max(1e6),
  /** Of a pixel. */
  sampleAspectRatio: z.object({ numerator: ratioPart, denominator: ratioPart }),
  /** By ffmpeg's names. */
  colour: z.object({ matrix: name, range: z.enum(['tv', 'full']), primaries: name, transfer: name }),
});
export type PictureFormat = z.infer<typeof pictureFormat>;

/** Of single frames. */
export const IMAGE_FORMATS = ['jpg', 'png'] as const;
export type ImageFormat = (typeof IMAGE_FORMATS)[number];

export const CODECS = ['h264', 'hevc'] as const;
export const RESULT_CONTAINERS = ['mp4', 'mov', 'mkv'] as const;
export type ResultContainer = (typeof RESULT_CONTAINERS)[number];
/** Those of x264 and x265. The slower, the smaller the result. */
export const PRESETS = [
  'ultrafast',
  'superfast',
  'veryfast',
  'faster',
  'fast',
  'medium',
  'slow',
  'slower',
  'veryslow',
] as const;
/** `software`: x264 or x265, whose output depends only on the frames. `nvenc`: the encoder of the GPU. */
export const ENCODERS = ['software', 'nvenc'] as const;
export const CRF_MAX = 51;

export const encoding = z
  .object({
    codec: z.enum(CODECS),
    /** The constant rate factor: lower is better. Null: lossless, in RGB. */
    crf: z.int().min(0).max(CRF_MAX).nullable(),
    preset: z.enum(PRESETS),
    encoder: z.enum(ENCODERS),
  })
  .refine(({ crf, encoder }) => crf !== null || encoder === 'software', {
    error: 'expected the software encoder for a lossless result',
  });
export type Encoding = z.infer<typeof encoding>;

/** Visually lossless: 49 to 51 dB on real footage with an identity model. */
export const DEFAULT_CRF: Readonly<Record<Encoding['codec'], number>> = { h264: 18, hevc: 20 };
export const DEFAULT_ENCODING: Encoding = {
  codec: 'h264',
  crf: DEFAULT_CRF.h264,
  preset: 'medium',
  encoder: 'software',
};
