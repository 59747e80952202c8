/**
 * Keeps Opus audio in sync when an ffmpeg before 6.0 copies it into Matroska.
 *
 * Opus starts with samples that players skip (the pre-skip, mostly 6.5 ms), which Matroska states as CodecDelay. ffmpeg's demuxer
 * subtracts the delay from each timestamp, so the audio starts below zero. Before libavformat 59.30.101 the muxer did not add it
 * back and shifted all other tracks instead, video included. For those versions, a bitstream filter adds the delay. Other codecs
 * and containers need no correction.
 */
import { z } from 'zod';

import { queryFfprobe } from '../../shared/media/ffprobe.ts';
import type { VideoInfo } from '../../shared/media/video-info.ts';

/** The first fixed libavformat version, packed as by AV_VERSION_INT. */
const FIRST_FIXED_VERSION = (59 << 16) | (30 << 8) | 101;

const answerSchema = z.object({
  library_versions: z.array(z.object({ name: z.string(), version: z.number() })),
  streams: z.array(z.object({ index: z.number(), extradata: z.string().optional() })),
});

/** Returns a bitstream filter for each track that needs one, by track index in the source. */
export async function opusCorrections(
  sourcePath: string,
  video: Pick<VideoInfo, 'container' | 'tracks'>,
): Promise<ReadonlyMap<number, string>> {
  const opus = video.tracks.filter(({ kind, codec }) => kind === 'audio' && codec === 'opus');
  if (video.container !== 'mkv' || opus.length === 0) return new Map();
  const answer = answerSchema.parse(
    await queryFfprobe({
      input: sourcePath,
      fields: [
        '-select_streams',
        'a',
        '-show_data',
        '-show_entries',
        'stream=index,extradata',
        '-show_library_versions',
      ],
      activity: 'reading the delay of its audio',
    }),
  );
  const version = answer.library_versions.find(({ name }) => name === 'libavformat')?.version ?? Infinity;
  if (version >= FIRST_FIXED_VERSION) return new Map();
  const isOpus = new Set(opus.map(({ index }) => index));
  return new Map(
    answer.streams
      .filter(({ index }) => isOpus.has(index))
      .map(({ index, extradata = '' }) => [index, delayFilter(preSkipSamples(extradata))]),
  );
}

/**
 * PURE. Parses the pre-skip, in samples at 48 kHz, from ffprobe's dump of the OpusHead (RFC 7845, 5.1: bytes 10 and 11,
 * little-endian). 0 if the dump is not an OpusHead.
 */
export function preSkipSamples(dump: string): number {
  const hex = [...dump.matchAll(/^[0-9a-f]{8}: ((?:[0-9a-f]{2,4} )+)/gm)].map(([, row = '']) => row).join('');
  const head = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  return head.toString('latin1', 0, 8) === 'OpusHead' && head.length >= 12 ? head.readUInt16LE(10) : 0;
}

/** Rounds halves up, as libavformat does. The millionth prevents 6.5 from becoming 6.4999. */
function delayFilter(samples: number): string {
  return `setts=ts=TS+round(${samples}/48000/TB+0.000001)`;
}
