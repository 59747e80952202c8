import { expect, test } from 'vitest';

import { lossesOf, planTracks, secondBest } from '../../../producer/media/copy-plan.ts';
import type { Timeline } from '../../../producer/media/timeline.ts';
import type { SourceTrack, VideoInfo } from '../../../shared/media/video-info.ts';
import { videoInfo } from '../../support/video-info.ts';

function track(index: number, kind: SourceTrack['kind'], codec?: string): SourceTrack {
  return { index, kind, codec, sampleRateHz: undefined, sampleFormat: 's16', language: undefined };
}

function planned(container: VideoInfo['container'], tracks: readonly SourceTrack[]) {
  const plan = planTracks(videoInfo({ container, tracks: [track(0, 'video', 'h264'), ...tracks] }));
  return { copied: plan.tracks.map((one) => one.track.index), warnings: plan.warnings };
}

test('every audio track is copied, whatever its codec', () => {
  const audio = [track(1, 'audio', 'aac'), track(2, 'audio', 'unknown_future_codec')];
  expect(planned('mp4', audio)).toEqual({ copied: [1, 2], warnings: [] });
});

test('subtitles, attachments and cover art are copied if the container can hold them', () => {
  const extras = [
    track(1, 'subtitle', 'subrip'),
    track(2, 'subtitle', 'mov_text'),
    track(3, 'attachment', 'ttf'),
    track(4, 'picture', 'png'),
  ];
  expect(planned('mkv', extras).copied).toEqual([1, 3]);
  expect(planned('mp4', extras).copied).toEqual([2, 4]);
});

test('each omitted track has a warning', () => {
  expect(
    planned('mp4', [track(1, 'subtitle', 'subrip'), track(2, 'video', 'h264'), track(3, 'data')]).warnings,
  ).toEqual([
    'Track 1 of the source (subtitle, subrip) is not copied: an .mp4 file cannot hold it.',
    'Track 2 of the source (video, h264) is not copied: only the main video track is scored.',
    'Track 3 of the source (data, unknown) is not copied: an .mp4 file cannot hold it.',
  ]);
});

test('the chapter text track of an .mp4 is omitted without a warning, because ffmpeg writes a new one', () => {
  expect(planned('mp4', [track(1, 'data', 'bin_data')])).toEqual({ copied: [], warnings: [] });
});

test('a rejected audio track is converted losslessly, and omitted if that is rejected too', () => {
  const copied = { track: { ...track(1, 'audio', 'pcm_dvd'), sampleFormat: 's32' }, codec: 'copy' };
  const converted = secondBest(copied, 'mkv');
  expect(converted).toMatchObject({
    planned: { codec: 'pcm_s32le' },
    warning: expect.stringContaining('is converted to pcm_s32le without loss') as string,
  });
  expect(secondBest({ ...copied, codec: 'pcm_s32le' }, 'mkv')).toEqual({
    planned: undefined,
    warning:
      'Track 1 of the source (audio, pcm_dvd) is not copied: the track is empty or damaged, or an .mkv file cannot hold it.',
  });
  expect(secondBest(copied, 'mp4').planned?.codec).toBe('alac');
});

test.for([
  ['a subtitle', track(1, 'subtitle', 'subrip')],
  ['an attachment', track(1, 'attachment', 'ttf')],
  ['audio of an unknown codec', track(1, 'audio')],
] as const)('%s that the container rejects is omitted', ([, rejected]) => {
  expect(secondBest({ track: rejected, codec: 'copy' }, 'mkv').planned).toBeUndefined();
});

/** Two frames, the first at the given tick. */
function timelineFrom(first: number): Timeline {
  return { timeBase: { numerator: 1, denominator: 25 }, pts: Float64Array.of(first, first + 1) };
}

test('a standard video has no losses', () => {
  const size = { width: 64, height: 48, isPadded: true };
  expect(lossesOf({ video: videoInfo(), timeline: timelineFrom(0), ...size })).toEqual([]);
});

test('bit depth, HDR, interlacing, a negative start and odd dimensions each give a warning', () => {
  const video = videoInfo({ container: 'mkv', bitDepth: 10, hdr: true, interlaced: true });
  const result = { video, timeline: timelineFrom(-1), width: 101, height: 77 };
  const losses = lossesOf({ ...result, isPadded: true });
  expect(losses).toHaveLength(5);
  expect(losses.at(-1)).toContain('the result has 102 x 78');
  expect(lossesOf({ ...result, isPadded: false })).toEqual(losses.slice(0, 4));
});
