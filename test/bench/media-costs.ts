/** The ffmpeg settings of a job, for measurements that compare its cost with that of ffmpeg alone. */
import { DEFAULT_ENCODING } from '../../shared/contract/encoding.ts';
import { resultFromRgb } from '../../shared/media/colour.ts';

const BT_709 = { matrix: 'bt709', range: 'tv', primaries: 'bt709', transfer: 'bt709' } as const;
/** BT.709 video range to RGB and back, as a job converts. */
export const RGB_FROM_SOURCE =
  'zscale=matrixin=1:rangein=tv:matrix=gbr:range=pc:filter=bicubic,format=gbrp,format=rgb24';
export const SOURCE_FROM_RGB = `format=gbrp,${resultFromRgb(BT_709)}`;

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
  'sync-lookahead=0:chromaloc=0',
  '-f',
  'null',
  '-',
];
