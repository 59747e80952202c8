/**
 * Keeps Opus in step where it is copied into Matroska by an ffmpeg before 6.0.
 *
 * Opus begins with some samples that nobody shall hear (the pre-skip, mostly 6.5 ms), and Matroska states them as the
 * track's CodecDelay. ffmpeg's reader takes the delay off each timestamp, so the sound begins below zero; its writer
 * did not put it back until libavformat 59.30.101, and moved every other track later instead, the picture too. So for
 * those versions we put it back ourselves. Leaves all other codecs and containers alone, which need nothing.
 */
import { z } from 'zod';

import { queryFfprobe } from '../../shared/media/ffprobe.ts';
import type { VideoInfo } from '../../shared/media/video-info.ts';

/** libavformat's version number, as AV_VERSION_INT packs it. */
const FIRST_VERSION_RIGHT = (59 << 16) | (30 << 8) | 101;

/** Reading a header takes well under a second; this is for a slow network disk. */
const TIME_LIMIT_MS = 30_000;

const answerSchema = z.object({
  library_versions: z.array(z.object({ name: z.string(), version: z.number() })),
  streams: z.array(z.object({ index: z.number(), extradata: z.string().optional() })),
});

/** A bitstream filter for each track that needs one, by the track's index in the source. */
export async function opusCorrections({
  sourcePath,
  video,
}: {
  readonly sourcePath: string;
  readonly video: Pick<VideoInfo, 'container' | 'tracks'>;
}): Promise<ReadonlyMap<number, string>> {
  const opus = video.tracks.filter(({ kind, codec }) => kind === 'audio' && codec === 'opus');
  if (video.container !== 'mkv' || opus.length === 0) return new Map();
  const answer = answerSchema.parse(
    await queryFfprobe({
      path: sourcePath,
      fields: [
        '-select_streams',
        'a',
        '-show_data',
        '-show_entries',
        'stream=index,extradata',
        '-show_library_versions',
      ],
      activity: 'reading the delay of its sound',
      timeLimitMs: TIME_LIMIT_MS,
    }),
  );
  const version = answer.library_versions.find(({ name }) => name === 'libavformat')?.version ?? Infinity;
  if (version >= FIRST_VERSION_RIGHT) return new Map();
  const isOpus = new Set(opus.map(({ index }) => index));
  return new Map(
    answer.streams
      .filter(({ index }) => isOpus.has(index))
      .map(({ index, extradata = '' }) => [index, delayFilter(preSkipSamples(extradata))]),
  );
}

/**
 * PURE. The pre-skip, in samples of 48 kHz, from ffprobe's dump of the OpusHead (RFC 7845, 5.1: bytes 10 and 11,
 * little-endian). 0 where it is no OpusHead.
 */
export function preSkipSamples(dump: string): number {
  const hex = [...dump.matchAll(/^[0-9a-f]{8}: ((?:[0-9a-f]{2,4} )+)/gm)].map(([, row = '']) => row).join('');
  const head = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  return head.toString('latin1', 0, 8) === 'OpusHead' && head.length >= 12 ? head.readUInt16LE(10) : 0;
}

/** Rounded as libavformat rounds, halves up; the millionth keeps 6.5 from becoming 6.4999. */
function delayFilter(samples: number): string {
  return `setts=ts=TS+round(${samples}/48000/TB+0.000001)`;
}
