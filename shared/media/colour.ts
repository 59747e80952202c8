/**
 * PURE. ffmpeg filters that convert colours from the source to JPEG, from a piece of it to RGB, and from RGB to the result, with every
 * colour property stated explicitly.
 *
 * A JPEG is always BT.601, full range, and cannot be tagged otherwise. A video without tags is taken as BT.709 from 720 lines on,
 * else as BT.601. The result keeps the tags of the source. Its matrix is always tagged, because at twice the size a player might
 * guess a different one.
 */
import { CHROMA_LOCATIONS, type ChromaLocation, type PieceFormat } from '../contract/piece.ts';
import type { VideoInfo } from './video-info.ts';

type ColouredVideo = Pick<VideoInfo, 'colour' | 'pixelFormat' | 'height' | 'rotationDegrees' | 'width'>;

/** Matrix names as ffmpeg reports them for a stream, and the equivalent names of the scale filter. */
const SCALE_MATRICES = new Map([
  ['bt709', 'bt709'],
  ['fcc', 'fcc'],
  ['bt470bg', 'bt601'],
  ['smpte170m', 'bt601'],
  ['smpte240m', 'smpte240m'],
  ['bt2020nc', 'bt2020'],
  ['bt2020c', 'bt2020'],
]);

/** The code points of ITU-T H.273, which zscale takes. Constant luminance is converted as if it were not, as swscale does. */
const MATRIX_CODES = new Map([
  ['bt709', 1],
  ['fcc', 4],
  ['bt470bg', 5],
  ['smpte170m', 6],
  ['smpte240m', 7],
  ['bt2020nc', 9],
  ['bt2020c', 9],
]);
const GBR = 0;
const SMPTE_170M = 6;

const PRIMARIES = new Set(
  'bt709 bt470m bt470bg smpte170m smpte240m film bt2020 smpte428 smpte431 smpte432'.split(' '),
);
const TRANSFERS = new Set(
  (
    'bt709 bt470m bt470bg smpte170m smpte240m linear iec61966-2-4 bt1361e iec61966-2-1 bt2020-10 bt2020-12 ' +
    'smpte2084 smpte428 arib-std-b67'
  ).split(' '),
);

/** The default flags lose 6 dB when the matrix changes (BT.709 footage, round trip: 44.8 instead of 51.1 dB). */
const SCALE_FLAGS = 'flags=bicubic+accurate_rnd+full_chroma_int+bitexact';

const JPEG_COLOUR = { matrix: 'bt601', range: 'full' } as const;

/** The size of a picture, and the part of it that shows the frame. */
interface FittedPicture {
  readonly width: number;
  readonly height: number;
  readonly shown: {
    readonly x: number;
    readonly y: number;
    readonly width: number;
    readonly height: number;
  };
}

interface ScaleColour {
  readonly matrix: string;
  readonly range: 'tv' | 'full';
}

export type JpegPixelFormat = 'yuvj420p' | 'yuvj422p' | 'yuvj444p';

/** Keeps the chroma resolution of the source. */
export function jpegPixelFormat({ pixelFormat }: ColouredVideo): JpegPixelFormat {
  if (/444|440|rgb|bgr|gbr|pal8|^rgba|^ayuv|^xv/.test(pixelFormat)) return 'yuvj444p';
  return /422|^yuyv|^uyvy|^yvyu|^nv16|^nv20|^p21|^y21/.test(pixelFormat) ? 'yuvj422p' : 'yuvj420p';
}

/** Converts upright source frames to JPEG colours. Also fixes the size, because a stream may change it midway. */
export function toJpegColour(video: ColouredVideo): string {
  return [
    scale({ width: video.width, height: video.height, from: sourceColour(video), to: JPEG_COLOUR }),
    `format=${jpegPixelFormat(video)}`,
  ].join(',');
}

/**
 * Where the chroma samples are in the JPEGs of a source. A JPEG cannot say that: decoders take the centre. But conversion to JPEG colours
 * leaves the samples where they are, most often at the left, and turning a picture turns that side. Undefined: the centre.
 */
export function jpegChromaLocation({ colour, rotationDegrees }: ColouredVideo): ChromaLocation | undefined {
  const location = CHROMA_LOCATIONS.find((one) => one === colour.chromaLocation) ?? 'left';
  if (rotationDegrees === 0) return location;
  return location === 'left' ? LEFT_TURNED.get(rotationDegrees) : undefined;
}

/** Clockwise, in degrees. */
const LEFT_TURNED = new Map<number, ChromaLocation>([
  [90, 'top'],
  [270, 'bottom'],
]);

/** The colour properties of a result, by ffmpeg's names. */
export interface ResultColour {
  readonly matrix: string;
  readonly range: 'tv' | 'full';
  readonly primaries: string;
  readonly transfer: string;
}

/** Those of the source, as far as ffmpeg can write them. */
export function resultColourOf(video: ColouredVideo): ResultColour {
  const { primaries, transfer } = video.colour;
  return {
    matrix: matrixNameOf(video),
    range: resultColour(video).range,
    primaries: primaries !== undefined && PRIMARIES.has(primaries) ? primaries : 'unknown',
    transfer: transfer !== undefined && TRANSFERS.has(transfer) ? transfer : 'unknown',
  };
}

/** Formats in which a piece may be decoded: zimg reads them as they are, so no other conversion can change the range on the way. */
const PIECE_PIXEL_FORMATS = [
  ...['yuv420p', 'yuv422p', 'yuv444p', 'gbrp'].flatMap((format) => [
    format,
    `${format}10le`,
    `${format}12le`,
  ]),
  // The same as the first three, in full range.
  'yuvj420p',
  'yuvj422p',
  'yuvj444p',
];

export function isPiecePixelFormat(pixelFormat: string): boolean {
  return PIECE_PIXEL_FORMATS.includes(pixelFormat);
}

/** The colours of the source's frames as they are decoded; null for RGB. */
export function decodedColourOf(video: ColouredVideo): PieceFormat['colour'] {
  if (isRgb(video)) return null;
  const { matrix, range } = resultColourOf(video);
  return { matrix, range };
}

/**
 * Gives all frames the size of the piece and the pixel format of the first one. A stream may change both midway: this is the only filter
 * that expects that. Other frames pass as they are.
 */
export function fixedSize({ width, height }: Pick<PieceFormat, 'width' | 'height'>): string {
  return `scale=w=${width}:h=${height}:${SCALE_FLAGS}`;
}

/** Converts the frames of a piece to packed RGB, of the size of the piece unless another one is given. */
export function rgbFromPiece(
  { width, height, colour }: Pick<PieceFormat, 'width' | 'height' | 'colour'>,
  to: FittedPicture = { width, height, shown: { x: 0, y: 0, width, height } },
): string {
  const code = colour === null ? GBR : (MATRIX_CODES.get(colour.matrix) ?? SMPTE_170M);
  const range = colour?.range === 'tv' ? 'tv' : 'pc';
  const location = colour?.chromaLocation === undefined ? '' : `:chromalin=${colour.chromaLocation}`;
  // zimg takes no odd size with subsampled chroma: a column or row is added, which no other pixel depends on, and cut off in RGB.
  const isOdd = width % 2 === 1 || height % 2 === 1;
  const even = { width: width + (width % 2), height: height + (height % 2) };
  const converted = isOdd ? even : to.shown;
  return [
    `format=${PIECE_PIXEL_FORMATS.join('|')}`,
    ...(isOdd ? [`pad=w=${even.width}:h=${even.height}:x=0:y=0`] : []),
    `zscale=w=${converted.width}:h=${converted.height}:matrixin=${code}:rangein=${range}:matrix=gbr:range=pc:filter=bicubic${location}`,
    'format=gbrp',
    ...(isOdd ? framesFromPictures({ ...even, shown: { x: 0, y: 0, width, height } }, to.shown) : []),
    ...(to.shown.width === to.width && to.shown.height === to.height
      ? []
      : [`pad=w=${to.width}:h=${to.height}:x=${to.shown.x}:y=${to.shown.y}:color=black`]),
    'format=rgb24',
  ].join(',');
}

/** Cuts the part out that shows the frame, and gives it the frame's size. Planar RGB in and out; nothing if there is nothing to do. */
export function framesFromPictures(
  { width, height, shown }: FittedPicture,
  frame: { readonly width: number; readonly height: number },
): string[] {
  const isWhole = shown.width === width && shown.height === height;
  const isSameSize = shown.width === frame.width && shown.height === frame.height;
  return [
    ...(isWhole ? [] : [`crop=w=${shown.width}:h=${shown.height}:x=${shown.x}:y=${shown.y}:exact=1`]),
    ...(isSameSize
      ? []
      : [
          `zscale=w=${frame.width}:h=${frame.height}:matrixin=gbr:rangein=full:matrix=gbr:range=full:filter=bicubic`,
        ]),
  ];
}

/** Converts packed RGB to 4:2:0 in the colours of the result. zimg is as exact as swscale's exact flags at half the cost. */
export function resultFromRgb({ matrix, range }: ResultColour): string {
  const code = MATRIX_CODES.get(matrix) ?? SMPTE_170M;
  return `zscale=matrixin=gbr:rangein=full:matrix=${code}:range=${range === 'tv' ? 'tv' : 'pc'}:filter=bicubic,format=yuv420p`;
}

/** Tags frames with the result's colour properties. ffmpeg's encoder takes them from the frames. */
export function resultTags({ matrix, range, primaries, transfer }: ResultColour): string {
  return `setparams=range=${range}:colorspace=${matrix}:color_primaries=${primaries}:color_trc=${transfer}`;
}

/** The matrix of the source if it has one that ffmpeg can convert, else the default. RGB has no matrix. */
function matrixNameOf({ colour, width, height, rotationDegrees }: ColouredVideo): string {
  if (colour.matrix !== undefined && SCALE_MATRICES.has(colour.matrix)) return colour.matrix;
  const lines = rotationDegrees === 90 || rotationDegrees === 270 ? width : height;
  return lines >= 720 ? 'bt709' : 'smpte170m';
}

function resultColour(video: ColouredVideo): ScaleColour {
  return {
    matrix: SCALE_MATRICES.get(matrixNameOf(video)) ?? 'bt601',
    range: video.colour.range === 'pc' && !isRgb(video) ? 'full' : 'tv',
  };
}

function sourceColour(video: ColouredVideo): ScaleColour | undefined {
  return isRgb(video) ? undefined : resultColour(video);
}

function isRgb({ pixelFormat }: ColouredVideo): boolean {
  return /rgb|bgr|gbr|pal8/.test(pixelFormat);
}

interface Scaling {
  readonly width?: number;
  readonly height?: number;
  readonly from: ScaleColour | undefined;
  readonly to: ScaleColour;
}

function scale({ width, height, from, to }: Scaling): string {
  const size = width === undefined || height === undefined ? [] : [`w=${width}:h=${height}`];
  const input = from === undefined ? [] : [`in_color_matrix=${from.matrix}:in_range=${from.range}`];
  const output = [`out_color_matrix=${to.matrix}:out_range=${to.range}`, SCALE_FLAGS];
  return `scale=${[...size, ...input, ...output].join(':')}`;
}
