import { expect, test } from 'vitest';

import { parseFfprobeOutput } from '../../../shared/media/ffprobe-output.ts';
import { findVideoStream, readVideoInfo } from '../../../shared/media/read-video-info.ts';
import type { VideoInfo } from '../../../shared/media/video-info.ts';

const MP4 = { format_name: 'mov,mp4,m4a,3gp,3g2,mj2', duration: '4.0', tags: { major_brand: 'isom' } };
const MKV = { format_name: 'matroska,webm', duration: '4.1' };
const PICTURE = {
  index: 0,
  codec_type: 'video',
  codec_name: 'h264',
  width: 640,
  height: 480,
  time_base: '1/12800',
  avg_frame_rate: '25/1',
};

function read({
  format = MP4,
  picture = {},
  others = [],
}: {
  format?: object;
  picture?: object;
  others?: readonly object[];
}): VideoInfo {
  const output = parseFfprobeOutput({ format, streams: [{ ...PICTURE, ...picture }, ...others] });
  const stream = findVideoStream(output);
  if (stream === undefined) throw new Error('no video stream');
  return readVideoInfo(output, stream, 10_000);
}

test('the size and the pixel ratio of a rotated video are those of the upright picture', () => {
  const video = read({ picture: { sample_aspect_ratio: '16:11', side_data_list: [{}, { rotation: -90 }] } });
  expect(video).toMatchObject({ width: 480, height: 640, rotationDegrees: 90 });
  expect(video.sampleAspectRatio).toEqual({ numerator: 11, denominator: 16 });
});

test.for([
  [-180, 180],
  [90, 270],
  [0, 0],
] as const)(
  'a counterclockwise rotation of %i degrees is %i degrees clockwise',
  ([rotation, rotationDegrees]) => {
    expect(read({ picture: { side_data_list: [{ rotation }] } }).rotationDegrees).toBe(rotationDegrees);
  },
);

test('cover art is not a video track', () => {
  const cover = { index: 0, codec_type: 'video', codec_name: 'png', disposition: { attached_pic: 1 } };
  const output = parseFfprobeOutput({ format: MP4, streams: [cover] });
  expect(findVideoStream(output)).toBeUndefined();
  expect(read({ others: [{ ...cover, index: 1 }] }).tracks.map(({ kind }) => kind)).toEqual([
    'video',
    'picture',
  ]);
});

test('an edit list that hides half of the frames halves the expected frame count', () => {
  expect(read({ picture: { nb_frames: '100', duration: '2.0' } })).toMatchObject({
    frameCountExpected: 50,
  });
});

test('the duration in Matroska is the declared end of the picture minus its start', () => {
  const picture = { start_time: '0.500000', tags: { DURATION: '00:00:04.500000000' } };
  expect(read({ format: MKV, picture })).toMatchObject({
    container: 'mkv',
    durationSeconds: 4,
    frameCountExpected: 100,
  });
  expect(read({ format: MKV, picture: { start_time: '0.1' } }).durationSeconds).toBeCloseTo(4);
});

test('values that are not declared are undefined or have their default', () => {
  const picture = {
    nb_frames: 'N/A',
    duration: 'N/A',
    avg_frame_rate: '0/0',
    color_space: 'unknown',
    sample_aspect_ratio: '0:1',
  };
  expect(read({ format: { format_name: 'flv' }, picture })).toMatchObject({
    frameCountExpected: undefined,
    durationSeconds: undefined,
    framesPerSecond: 25,
    sampleAspectRatio: { numerator: 1, denominator: 1 },
    colour: { matrix: undefined, range: undefined },
  });
});

test.for([
  ['mp4', MP4, 'aac'],
  ['mov', { ...MP4, tags: { major_brand: 'qt  ' } }, 'aac'],
  ['mov', { ...MP4, tags: {} }, 'aac'],
  ['mov', MP4, 'pcm_s16be'],
  ['mkv', { format_name: 'avi' }, 'mp3'],
  ['mkv', { format_name: 'mpegts' }, 'aac'],
] as const)('the result container is .%s for %o with %s', ([container, format, codec]) => {
  const others = [{ index: 1, codec_type: 'audio', codec_name: codec, sample_rate: '48000' }];
  expect(read({ format, others })).toMatchObject({ container, audioTrackCount: 1 });
});

test.for([
  [8, { pix_fmt: 'yuv420p' }],
  [10, { pix_fmt: 'yuv420p10le' }],
  [10, { pix_fmt: 'p010le' }],
  [12, { pix_fmt: 'gray12le' }],
  [10, { pix_fmt: 'unheard_of', bits_per_raw_sample: '10' }],
] as const)('the bit depth is %i for %o', ([bitDepth, picture]) => {
  expect(read({ picture }).bitDepth).toBe(bitDepth);
});

test.each([
  ['625924635:699805016', { numerator: 58_616, denominator: 65_535 }],
  ['4294967295:1', { numerator: 65_535, denominator: 1 }],
  ['65535:65534', { numerator: 65_535, denominator: 65_534 }],
])('a pixel shape of %s is kept in numbers that encoders take', (ratio, expected) => {
  expect(read({ picture: { sample_aspect_ratio: ratio } }).sampleAspectRatio).toEqual(expected);
});
