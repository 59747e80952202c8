/** How the frames of a job are encoded: what the job asks for, and the properties of the source that the result keeps. PURE. */
import { z } from 'zod';

const name = z.string().regex(/^[a-z0-9-]{1,32}$/);
const ratioPart = z.int().min(1).max(65_535);

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

const encoding = z.object({
  codec: z.literal('h264'),
  /** x264's constant rate factor: 0 to 51, lower is better. */
  crf: z.int().min(0).max(51),
  preset: z.enum([
    'ultrafast',
    'superfast',
    'veryfast',
    'faster',
    'fast',
    'medium',
    'slow',
    'slower',
    'veryslow',
  ]),
});
export type Encoding = z.infer<typeof encoding>;

/** Visually lossless: 49 to 51 dB on real footage with an identity model. */
export const DEFAULT_ENCODING: Encoding = { codec: 'h264', crf: 18, preset: 'medium' };
