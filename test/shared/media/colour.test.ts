import { expect, test } from 'vitest';

import {
  decodedColourOf,
  jpegChromaLocation,
  jpegPixelFormat,
  resultColourOf,
  resultFromRgb,
  resultTags,
  rgbFromPiece,
  toJpegColour,
} from '../../../shared/media/colour.ts';
import { videoInfo } from '../../support/video-info.ts';

const UNTAGGED = videoInfo().colour;

test('the conversions to JPEG and from a piece state matrix and range explicitly', () => {
  const video = videoInfo({ height: 1080, colour: { ...UNTAGGED, matrix: 'bt709', range: 'tv' } });
  expect(toJpegColour(video)).toContain(
    'in_color_matrix=bt709:in_range=tv:out_color_matrix=bt601:out_range=full',
  );
  expect(rgbFromPiece({ width: 128, height: 96, colour: decodedColourOf(video) })).toContain(
    'w=128:h=96:matrixin=1:rangein=tv:matrix=gbr:range=pc',
  );
});

test.for([
  [undefined, 0, 'left'],
  ['left', 0, 'left'],
  ['center', 0, 'center'],
  ['topleft', 0, 'topleft'],
  ['x,movie=/etc/passwd', 0, 'left'],
  ['left', 90, 'top'],
  ['left', 180, undefined],
  ['left', 270, 'bottom'],
  ['center', 90, undefined],
] as const)(
  'chroma at %s, turned by %i degrees, is at %s in a JPEG',
  ([chromaLocation, rotationDegrees, expected]) => {
    const video = videoInfo({ colour: { ...UNTAGGED, chromaLocation }, rotationDegrees });
    expect(jpegChromaLocation(video)).toBe(expected);
  },
);

test('the conversion from a piece states where the chroma is, if the piece does', () => {
  const [size, colour] = [{ width: 2, height: 2 }, { matrix: 'smpte170m', range: 'full' } as const];
  expect(rgbFromPiece({ ...size, colour: { ...colour, chromaLocation: 'top' } })).toContain(
    ':chromalin=top,',
  );
  expect(rgbFromPiece({ ...size, colour })).not.toContain('chromalin');
});

test('the conversion from RGB states matrix and range explicitly', () => {
  const tags = { matrix: 'bt2020nc', range: 'pc', primaries: 'bt2020', transfer: 'smpte2084' } as const;
  const colour = { ...UNTAGGED, ...tags };
  expect(resultFromRgb(resultColourOf(videoInfo({ colour })))).toContain(
    'matrixin=gbr:rangein=full:matrix=9:range=pc',
  );
});

test.for([
  [480, 0, 'smpte170m'],
  [719, 0, 'smpte170m'],
  [720, 0, 'bt709'],
] as const)(
  'an untagged video of %i lines, rotated by %i degrees, is taken as %s',
  ([height, rotationDegrees, matrix]) => {
    expect(resultTags(resultColourOf(videoInfo({ height, rotationDegrees })))).toContain(
      `colorspace=${matrix}:`,
    );
  },
);

test('an untagged rotated video is classified by its coded height', () => {
  const video = videoInfo({ width: 576, height: 720, rotationDegrees: 90 });
  expect(resultTags(resultColourOf(video))).toContain('colorspace=smpte170m:');
});

test('the result keeps the range, primaries and transfer function of the source', () => {
  const tags = { matrix: 'bt2020nc', range: 'pc', primaries: 'bt2020', transfer: 'arib-std-b67' } as const;
  const colour = { ...UNTAGGED, ...tags };
  expect(resultTags(resultColourOf(videoInfo({ colour })))).toBe(
    'setparams=range=full:colorspace=bt2020nc:color_primaries=bt2020:color_trc=arib-std-b67',
  );
});

test('an unknown tag is not passed to the command line', () => {
  const colour = { ...UNTAGGED, matrix: 'constructor', primaries: 'x,movie=/etc/passwd', transfer: 'y' };
  expect(resultTags(resultColourOf(videoInfo({ colour })))).toBe(
    'setparams=range=tv:colorspace=smpte170m:color_primaries=unknown:color_trc=unknown',
  );
});

test('an RGB source has no input matrix and becomes limited range', () => {
  const video = videoInfo({ pixelFormat: 'gbrp', colour: { ...UNTAGGED, matrix: 'gbr', range: 'pc' } });
  expect(toJpegColour(video)).not.toContain('in_color_matrix');
  expect(resultTags(resultColourOf(video))).toContain('range=tv:colorspace=smpte170m');
});

test.for([
  ['yuv420p', 'yuvj420p'],
  ['nv12', 'yuvj420p'],
  ['p010le', 'yuvj420p'],
  ['gray', 'yuvj420p'],
  ['yuvj422p', 'yuvj422p'],
  ['yuv422p10le', 'yuvj422p'],
  ['yuyv422', 'yuvj422p'],
  ['yuv444p12le', 'yuvj444p'],
  ['yuva444p', 'yuvj444p'],
  ['gbrp', 'yuvj444p'],
  ['argb', 'yuvj444p'],
  ['pal8', 'yuvj444p'],
] as const)('a %s source is stored as %s to keep its chroma resolution', ([pixelFormat, jpeg]) => {
  expect(jpegPixelFormat(videoInfo({ pixelFormat }))).toBe(jpeg);
});
