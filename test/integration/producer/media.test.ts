/** Timestamps, frames and audio through the real ffmpeg: nothing is lost, shifted or invented. */
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';

import { describe, expect, test } from 'vitest';

import { joinVideo } from '../../../producer/media/join-video.ts';
import { reorderDepthOf } from '../../../producer/media/joined-video.ts';
import { readSegment } from '../../../producer/media/segment-samples.ts';
import { DEFAULT_ENCODING } from '../../../shared/contract/encoding.ts';
import { probeVideo } from '../../../shared/media/probe.ts';
import { H264, ffprobe, picture, pictureTimes, soundPackets, tone } from '../../support/media-clips.ts';
import { NO_TRACKS, each, encodeSegments, useMediaFolder } from '../../support/media-round-trip.ts';

const { clip, at, decode, roundTrip } = useMediaFolder();

async function expectSameTimes(sourcePath: string, resultPath: string): Promise<void> {
  const [source, result] = await Promise.all([pictureTimes(sourcePath), pictureTimes(resultPath)]);
  expect(result.seconds).toHaveLength(source.seconds.length);
  const tickSeconds = Math.max(source.tickSeconds, result.tickSeconds);
  const worst = Math.max(
    ...source.seconds.map((seconds, index) => Math.abs(seconds - (result.seconds[index] ?? NaN))),
  );
  expect(worst).toBeLessThanOrEqual(tickSeconds * 1.000_001);
}

async function expectSameSound(sourcePath: string, resultPath: string, trackCount: number): Promise<void> {
  const [source, result] = await Promise.all([soundPackets(sourcePath), soundPackets(resultPath)]);
  expect(source).toHaveLength(trackCount);
  expect(result).toEqual(source);
}

/** The times of all frames and audio packets, in ms after the first frame. */
async function relativeTimes(path: string) {
  const [{ seconds }, [sound = []]] = await Promise.all([pictureTimes(path), soundPackets(path)]);
  const first = seconds[0] ?? NaN;
  const since = (time: number) => Math.round((time - first) * 1000);
  return {
    pictures: seconds.map(since),
    sound: sound.map((packet) => [packet.hash, since(packet.seconds)]),
  };
}

describe('a round trip keeps every timestamp, frame and audio packet of', () => {
  const sounds = [...tone({ rate: 44_100 }), ...tone({ hertz: 660, seconds: 1.3 })];
  const twoTracks = ['-map', '0', '-map', '1', '-map', '2', '-c:a', 'aac'];
  const uneven = 'setpts=PTS+(floor(N/7)*0.05+0.012*random(1))/TB';

  test.for([
    ['an .mp4 at 25 frames/s', 'a.mp4', [...picture({}), ...tone({}), ...H264, '-c:a', 'aac'], 25, 1],
    ['an .mkv at 25 frames/s', 'a.mkv', [...picture({}), ...tone({}), ...H264, '-c:a', 'aac'], 25, 1],
    [
      'an .mp4 at 30000/1001 frames/s with two audio tracks',
      'b.mp4',
      [...picture({ rate: '30000/1001' }), ...sounds, ...twoTracks, ...H264],
      30,
      2,
    ],
    [
      'an .mkv at 24000/1001 frames/s with two audio tracks',
      'b.mkv',
      [...picture({ rate: '24000/1001' }), ...sounds, ...twoTracks, ...H264],
      24,
      2,
    ],
    [
      'a variable frame rate',
      'c.mp4',
      [
        ...picture({ seconds: 2 }),
        ...tone({}),
        '-vf',
        uneven,
        '-fps_mode',
        'vfr',
        '-video_track_timescale',
        '90000',
        ...H264,
      ],
      50,
      1,
    ],
    [
      'video that starts late',
      'd.mp4',
      [
        '-itsoffset',
        '0.35',
        ...picture({}),
        ...tone({}),
        ...H264,
        '-map',
        '0',
        '-map',
        '1',
        '-fps_mode',
        'passthrough',
      ],
      25,
      1,
    ],
    [
      'audio that starts late',
      'e.mov',
      [...picture({}), '-itsoffset', '0.777', ...tone({}), ...H264, '-map', '0', '-map', '1'],
      25,
      1,
    ],
    [
      'a coarse time base with audio between its ticks',
      'f.mp4',
      [
        ...picture({}),
        '-itsoffset',
        '0.013',
        ...tone({ rate: 44_100 }),
        ...H264,
        '-map',
        '0',
        '-map',
        '1',
        '-video_track_timescale',
        '25',
      ],
      25,
      1,
    ],
    [
      'Opus with a pre-skip',
      'h.webm',
      [
        '-itsoffset',
        '0.2',
        ...picture({}),
        ...tone({}),
        '-map',
        '0',
        '-map',
        '1',
        '-c:v',
        'libvpx',
        '-c:a',
        'libopus',
      ],
      25,
      1,
    ],
    ['a single frame', 'i.mp4', [...picture({ seconds: 0.04 }), ...H264], 1, 0],
    ['an .avi without audio', 'j.avi', [...picture({}), '-c:v', 'mpeg4'], 25, 0],
  ] as const)('%s', async ([, name, args, frameCount, trackCount]) => {
    const sourcePath = await clip(name, args);
    const { frames, timeline, resultPath } = await roundTrip(sourcePath);
    expect(timeline.pts).toHaveLength(frames.length);
    expect(frames.length).toBe(frameCount);
    await expectSameTimes(sourcePath, resultPath);
    await expectSameSound(sourcePath, resultPath, trackCount);
  });

  test('a stream-copied cut whose frame table includes frames that the edit list hides', async () => {
    const whole = await clip('whole.mp4', [...picture({ seconds: 4 }), ...H264, '-g', '100']);
    const sourcePath = await clip('trimmed.mp4', ['-ss', '2', '-i', whole, '-c', 'copy']);
    const { video, frames, resultPath } = await roundTrip(sourcePath);
    expect(video.frameCountExpected).toBe(50);
    expect(frames).toHaveLength(50);
    await expectSameTimes(sourcePath, resultPath);
  });

  test('a source that starts below zero, shifted to zero with a warning', async () => {
    const late = ['-output_ts_offset', '-0.25', '-avoid_negative_ts', 'disabled'];
    const sourcePath = await clip('g.mkv', [
      ...picture({}),
      ...tone({}),
      '-c:v',
      'mpeg4',
      '-c:a',
      'mp2',
      ...late,
    ]);
    const { resultPath, warnings } = await roundTrip(sourcePath);
    expect(warnings).toEqual([expect.stringContaining('starts at a negative timestamp')]);
    expect((await pictureTimes(sourcePath)).seconds[0]).toBe(-0.25);
    expect((await pictureTimes(resultPath)).seconds[0]).toBe(0);
    expect(await relativeTimes(resultPath)).toEqual(await relativeTimes(sourcePath));
  });

  test('a frame with the timestamp of the previous one, moved one tick later', async () => {
    const stumble = String.raw`setts=ts=if(eq(N\,10)\,TS-40\,TS)`;
    const sourcePath = await clip('m.mkv', [...picture({}), '-c:v', 'mpeg4', '-bsf:v', stumble]);
    const { timeline, resultPath } = await roundTrip(sourcePath);
    expect(timeline.pts.slice(8, 13)).toEqual(Float64Array.of(320, 360, 361, 440, 480));
    expect((await pictureTimes(resultPath)).seconds).toHaveLength(25);
  });

  test('a transport stream, to the millisecond ticks of its .mkv result', async () => {
    const sourcePath = await clip('n.ts', [
      ...picture({ rate: '30000/1001' }),
      ...tone({}),
      ...H264,
      '-c:a',
      'mp2',
    ]);
    const { resultPath } = await roundTrip(sourcePath);
    await expectSameTimes(sourcePath, resultPath);
    const [source, result] = await Promise.all([soundPackets(sourcePath), soundPackets(resultPath)]);
    expect(result.flat().map(({ hash }) => hash)).toEqual(source.flat().map(({ hash }) => hash));
  });
});

describe('besides video and audio', () => {
  test('subtitles, chapters, languages and titles are copied', async () => {
    await writeFile(at('words.srt'), '1\n00:00:00,100 --> 00:00:00,900\nHello\n');
    const chapter = '[CHAPTER]\nTIMEBASE=1/1000\nSTART=200\nEND=1000\ntitle=The end\n';
    await writeFile(at('meta.txt'), `;FFMETADATA1\ntitle=A title\n${chapter}`);
    const inputs = [
      ...picture({}),
      ...tone({}),
      '-i',
      at('words.srt'),
      '-i',
      at('meta.txt'),
      '-map',
      '0',
      '-map',
      '1',
      '-map',
      '2',
    ];
    const tags = ['-map_metadata', '3', '-metadata:s:v:0', 'language=fra', '-metadata:s:a:0', 'language=deu'];
    for (const [name, subtitles] of [
      ['extras.mp4', 'mov_text'],
      ['extras.mkv', 'srt'],
    ] as const) {
      const sourcePath = await clip(name, [...inputs, ...tags, ...H264, '-c:s', subtitles]);
      const { resultPath, warnings } = await roundTrip(sourcePath);
      expect(warnings).toEqual([]);
      const { tracks } = await probeVideo(resultPath);
      expect(tracks.slice(0, 3)).toMatchObject([
        { language: 'fra' },
        { language: 'deu' },
        { kind: 'subtitle' },
      ]);
      const entries = [
        '-show_chapters',
        '-show_entries',
        'chapter=start_time,end_time:chapter_tags=title:format_tags=title',
      ];
      const result = await ffprobe(resultPath, entries);
      expect(result).toEqual(await ffprobe(sourcePath, entries));
      expect(result).toMatchObject({
        chapters: [{ tags: { title: 'The end' } }],
        format: { tags: { title: 'A title' } },
      });
    }
  });

  test('cover art is copied into an .mp4 and is not a second video track', async () => {
    const cover = await clip('cover.png', ['-f', 'lavfi', '-i', 'color=red:size=32x32', '-frames:v', '1']);
    const plain = await clip('plain.mp4', [...picture({}), ...H264]);
    const sourcePath = await clip('covered.mp4', [
      '-i',
      plain,
      '-i',
      cover,
      '-map',
      '0',
      '-map',
      '1',
      '-c',
      'copy',
      '-disposition:v:1',
      'attached_pic',
    ]);
    const { frames, resultPath } = await roundTrip(sourcePath);
    expect(frames).toHaveLength(25);
    expect((await probeVideo(resultPath)).tracks.map(({ kind }) => kind)).toEqual(['video', 'picture']);
  });
});

test('the same source always gives the same frames and the same file', async () => {
  const sourcePath = await clip('twice.mkv', [
    ...picture({ size: '160x120' }),
    ...tone({}),
    ...H264,
    '-c:a',
    'aac',
  ]);
  const hashes = await Promise.all(
    [1, 2].map(async () => {
      const { frames, resultPath } = await roundTrip(sourcePath);
      return [Buffer.concat(frames), await readFile(resultPath)].map((bytes) =>
        createHash('sha256').update(bytes).digest('hex'),
      );
    }),
  );
  expect(hashes[0]).toEqual(hashes[1]);
});

test('segments are joined although a later one reorders its frames more than the first', async () => {
  const sourcePath = await clip('reorder.mp4', [...picture({ seconds: 2 }), ...H264]);
  const { video, timeline, frames } = await decode(sourcePath);
  // A segment of one frame has nothing to reorder.
  const segments = await encodeSegments(video, frames, 49, 1);
  expect(segments.map((bytes) => reorderDepthOf(readSegment(bytes)))).toEqual([0, 2]);
  let passes = 0;
  const outputPath = at('reordered.mp4');
  await joinVideo({
    timeline,
    video,
    sourcePath,
    outputPath,
    trackPlan: NO_TRACKS,
    encoding: DEFAULT_ENCODING,
    cpuSecondsMax: 60,
    frameSize: video,
    segments: () => {
      passes += 1;
      return each(segments);
    },
  });
  expect(passes).toBe(2);
  await expectSameTimes(sourcePath, outputPath);
});
