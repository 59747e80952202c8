/**
 * PURE. Which colours go into the JPEGs and come out of them, said to ffmpeg in full at both ends.
 *
 * A JPEG is always BT.601, full range; nothing in it can say otherwise. A video may be anything, and where it says
 * nothing the usual guess applies: BT.709 from 720 lines on, else BT.601. The result keeps what the source said, and
 * says the matrix even where the source did not, since at twice the size a player's guess could be another one.
 */
import type { VideoInfo } from '../../shared/media/video-info.ts';

type Coloured = Pick<VideoInfo, 'colour' | 'pixelFormat' | 'height' | 'rotationDegrees' | 'width'>;

/** ffmpeg's name of a stream's matrix, and that of the same numbers in its scale filter. */
const SCALE_MATRICES = new Map([
  ['bt709', 'bt709'],
  ['fcc', 'fcc'],
  ['bt470bg', 'bt601'],
  ['smpte170m', 'bt601'],
  ['smpte240m', 'smpte240m'],
  ['bt2020nc', 'bt2020'],
  ['bt2020c', 'bt2020'],
]);

const PRIMARIES = new Set(
  'bt709 bt470m bt470bg smpte170m smpte240m film bt2020 smpte428 smpte431 smpte432'.split(' '),
);
const TRANSFERS = new Set(
  (
    'bt709 bt470m bt470bg smpte170m smpte240m linear iec61966-2-4 bt1361e iec61966-2-1 bt2020-10 bt2020-12 ' +
    'smpte2084 smpte428 arib-std-b67'
  ).split(' '),
);

/** The default loses 6 dB where the matrix changes (BT.709 footage, there and back: 44.8 against 51.1 dB). */
const SCALE_FLAGS = 'flags=bicubic+accurate_rnd+full_chroma_int+bitexact';

const JPEG_COLOUR = { matrix: 'bt601', range: 'full' } as const;

interface ScaleColour {
  readonly matrix: string;
  readonly range: 'tv' | 'full';
}

export type JpegPixelFormat = 'yuvj420p' | 'yuvj422p' | 'yuvj444p';

/** Chroma is kept as fine as the source has it. */
export function jpegPixelFormat({ pixelFormat }: Coloured): JpegPixelFormat {
  if (/444|440|rgb|bgr|gbr|pal8|^rgba|^ayuv|^xv/.test(pixelFormat)) return 'yuvj444p';
  return /422|^yuyv|^uyvy|^yvyu|^nv16|^nv20|^p21|^y21/.test(pixelFormat) ? 'yuvj422p' : 'yuvj420p';
}

/** Upright frames of the source to JPEG colours. The size is said as well: a stream may change its own midway. */
export function toJpegColour(video: Coloured): string {
  return [
    scale({ width: video.width, height: video.height, from: sourceColour(video), to: JPEG_COLOUR }),
    `format=${jpegPixelFormat(video)}`,
  ].join(',');
}

/** JPEG colours to those of the result, in `pixelFormat`. */
export function fromJpegColour({
  video,
  width,
  height,
  pixelFormat,
}: {
  readonly video: Coloured;
  readonly width: number;
  readonly height: number;
  readonly pixelFormat: 'yuv420p' | 'yuv444p';
}): string {
  return `${scale({ width, height, from: JPEG_COLOUR, to: resultColour(video) })},format=${pixelFormat}`;
}

/** From 4:4:4 to 4:2:0 and nothing else. */
export function subsample(video: Coloured): string {
  const same = resultColour(video);
  return `${scale({ from: same, to: same })},format=yuv420p`;
}

/** The tags of the result. Set on the frames, as ffmpeg's encoder takes them from there. */
export function resultTags(video: Coloured): string {
  const { primaries, transfer } = video.colour;
  return [
    `setparams=range=${resultColour(video).range}`,
    `colorspace=${matrixNameOf(video)}`,
    `color_primaries=${primaries !== undefined && PRIMARIES.has(primaries) ? primaries : 'unknown'}`,
    `color_trc=${transfer !== undefined && TRANSFERS.has(transfer) ? transfer : 'unknown'}`,
  ].join(':');
}

/** The source's matrix where it has one that the result can have; RGB has none. */
function matrixNameOf({ colour, width, height, rotationDegrees }: Coloured): string {
  if (colour.matrix !== undefined && SCALE_MATRICES.has(colour.matrix)) return colour.matrix;
  const lines = rotationDegrees === 90 || rotationDegrees === 270 ? width : height;
  return lines >= 720 ? 'bt709' : 'smpte170m';
}

function resultColour(video: Coloured): ScaleColour {
  return {
    matrix: SCALE_MATRICES.get(matrixNameOf(video)) ?? 'bt601',
    range: video.colour.range === 'pc' && !isRgb(video) ? 'full' : 'tv',
  };
}

function sourceColour(video: Coloured): ScaleColour | undefined {
  return isRgb(video) ? undefined : resultColour(video);
}

function isRgb({ pixelFormat }: Coloured): boolean {
  return /rgb|bgr|gbr|pal8/.test(pixelFormat);
}

function scale({
  width,
  height,
  from,
  to,
}: {
  readonly width?: number;
  readonly height?: number;
  readonly from: ScaleColour | undefined;
  readonly to: ScaleColour;
}): string {
  const size = width === undefined || height === undefined ? [] : [`w=${width}:h=${height}`];
  const input = from === undefined ? [] : [`in_color_matrix=${from.matrix}:in_range=${from.range}`];
  const output = [`out_color_matrix=${to.matrix}:out_range=${to.range}`, SCALE_FLAGS];
  return `scale=${[...size, ...input, ...output].join(':')}`;
}
