/** The ffmpeg settings of a job, for measurements that compare its cost with that of ffmpeg alone. */

import { DEFAULT_ENCODING } from '../../shared/contract/encoding.ts';

/** BT.709 video range to RGB and back, as exact as the product converts. */
const FLAGS = 'flags=bicubic+accurate_rnd+full_chroma_int+bitexact';
export const RGB_FROM_SOURCE = `scale=in_color_matrix=bt709:in_range=tv:${FLAGS},format=rgb24`;
export const SOURCE_FROM_RGB = `scale=out_color_matrix=bt709:out_range=tv:${FLAGS},format=yuv420p`;

/** The encoder of a job, writing to nowhere. */
export const ENCODER_ARGUMENTS = [
  '-c:v',
  'libx264',
  '-preset',
  DEFAULT_ENCODING.preset,
  '-crf',
  String(DEFAULT_ENCODING.crf),
  '-threads',
  '4',
  '-x264-params',
  'sync-lookahead=0',
  '-f',
  'null',
  '-',
];
