/**
 * PURE. The fields we request from ffprobe, the shape of its output, and the parsing of its values.
 *
 * Each value by which ffprobe means "unknown" (N/A, unknown, 0/0) becomes `undefined`. Only the fields that `VideoInfo`
 * needs are requested, so the output stays small.
 */
import { z } from 'zod';

import type { Ratio } from './video-info.ts';

/** The options that select these fields. */
export const PROBE_FIELDS = [
  '-show_entries',
  [
    'format=format_name,duration',
    'format_tags=major_brand',
    'stream=index,codec_type,codec_name,width,height,pix_fmt,bits_per_raw_sample,field_order,sample_aspect_ratio,' +
      'color_space,color_range,color_primaries,color_transfer,chroma_location,' +
      'r_frame_rate,avg_frame_rate,time_base,start_time,duration,nb_frames,sample_rate,sample_fmt',
    'stream_tags=DURATION,DURATION-eng,NUMBER_OF_FRAMES,NUMBER_OF_FRAMES-eng,language',
    'stream_disposition=default,attached_pic,timed_thumbnails,still_image',
    'stream_side_data=rotation',
  ].join(':'),
] as const;

const tags = z.record(z.string(), z.string()).default({});
const outputSchema = z.object({
  format: z.object({ format_name: z.string().default(''), duration: z.string().optional(), tags }).optional(),
  streams: z
    .array(
      z.object({
        index: z.number(),
        codec_type: z.string().default('unknown'),
        codec_name: z.string().optional(),
        width: z.number().default(0),
        height: z.number().default(0),
        pix_fmt: z.string().default('unknown'),
        bits_per_raw_sample: z.string().optional(),
        field_order: z.string().default('unknown'),
        sample_aspect_ratio: z.string().optional(),
        color_space: z.string().optional(),
        color_range: z.string().optional(),
        color_primaries: z.string().optional(),
        color_transfer: z.string().optional(),
        chroma_location: z.string().optional(),
        r_frame_rate: z.string().optional(),
        avg_frame_rate: z.string().optional(),
        time_base: z.string().default('1/1000'),
        start_time: z.string().optional(),
        duration: z.string().optional(),
        nb_frames: z.string().optional(),
        sample_rate: z.string().optional(),
        sample_fmt: z.string().optional(),
        tags,
        disposition: z
          .object({
            default: z.number(),
            attached_pic: z.number(),
            timed_thumbnails: z.number(),
            still_image: z.number(),
          })
          .partial()
          .default({}),
        side_data_list: z.array(z.object({ rotation: z.number().optional() })).default([]),
      }),
    )
    .default([]),
});
export type FfprobeOutput = z.infer<typeof outputSchema>;
export type FfprobeStream = FfprobeOutput['streams'][number];

export function parseFfprobeOutput(output: unknown): FfprobeOutput {
  return outputSchema.parse(output);
}

export function parseName(value: string | undefined): string | undefined {
  return value === undefined || ['unknown', 'unspecified', 'reserved', 'und', ''].includes(value)
    ? undefined
    : value;
}

export function parsePositiveNumber(text: string | undefined): number | undefined {
  const value = Number(text);
  return Number.isFinite(value) && value > 0 ? value : undefined;
}

export function parseRatio(text: string | undefined): Ratio | undefined {
  const [, numerator, denominator] = /^(\d+)[:/](\d+)$/.exec(text ?? '') ?? [];
  const ratio = { numerator: Number(numerator), denominator: Number(denominator) };
  return ratio.numerator > 0 && ratio.denominator > 0 ? ratio : undefined;
}

export function parseFrameRate(text: string | undefined): number | undefined {
  const ratio = parseRatio(text);
  return ratio === undefined ? undefined : ratio.numerator / ratio.denominator;
}

/** Seconds from `00:01:02.500000000`, the form of Matroska's DURATION tag. */
export function parseClockSeconds(text: string | undefined): number | undefined {
  const [, hours, minutes, seconds] = /^(\d+):(\d{2}):(\d{2}(?:\.\d+)?)$/.exec(text ?? '') ?? [];
  const total = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
  return total > 0 ? total : undefined;
}
