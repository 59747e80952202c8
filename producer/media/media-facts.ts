/**
 * What a whole media file holds, read front to back without decoding: the time of each frame, and the packets of its sound.
 *
 * A source is described by the same facts as a result, so that `compare-media.ts` can compare the two.
 */
import { createHash } from 'node:crypto';

import { z } from 'zod';

import { PROBE_FIELDS, parseFfprobeOutput } from '../../shared/media/ffprobe-output.ts';
import { WHOLE_FILE_TIME_LIMIT_MS, queryPackets } from '../../shared/media/ffprobe.ts';
import { findVideoStream, readVideoInfo } from '../../shared/media/read-video-info.ts';
import type { VideoInfo } from '../../shared/media/video-info.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import { TickList } from './tick-list.ts';
import type { Timeline } from './timeline.ts';

export interface MediaFacts {
  readonly video: VideoInfo;
  /** Of the frames that are shown, by their packets. The timestamps ascend; NaN, at the end, for a packet without one. */
  readonly timeline: Timeline;
  /** In the order of the file. */
  readonly sound: readonly SoundFacts[];
  readonly chapterCount: number;
}

export interface SoundFacts {
  readonly index: number;
  readonly codec: string;
  readonly packetCount: number;
  /** Of all packets' bytes, in order; undefined if they were not asked for. */
  readonly digest: string | undefined;
  /** In seconds, of each packet. */
  readonly times: Float64Array;
}

const packetSchema = z.object({
  stream_index: z.number(),
  pts: z.number().optional(),
  pts_time: z.string().optional(),
  size: z.string().default('0'),
  flags: z.string().default(''),
  data_hash: z.string().optional(),
});
const chapters = z.object({ chapters: z.array(z.unknown()).default([]) });

export interface MediaFactsRequest {
  /** A path, or the bytes of a file of our own making. */
  readonly input: string | AsyncIterable<Uint8Array>;
  /** Completes "ffprobe failed while …". */
  readonly activity: string;
  /** Whether the packets of the sound are hashed. */
  readonly withDigests: boolean;
}

/** Throws MEDIA_TOOL_FAILED, SOURCE_NO_PICTURE, or the error of the input. */
export async function readMediaFacts({
  input,
  activity,
  withDigests,
}: MediaFactsRequest): Promise<MediaFacts> {
  const tracks = new Map<number, TrackPackets>();
  const [option, fields] = PROBE_FIELDS;
  const packetFields = `packet=stream_index,pts,pts_time,size,flags${withDigests ? ',data_hash' : ''}`;
  const output = await queryPackets(
    {
      input,
      fields: [
        ...(withDigests ? ['-show_data_hash', 'md5'] : []),
        option,
        `${fields}:${packetFields}:chapter=id`,
      ],
      activity,
      timeLimitMs: WHOLE_FILE_TIME_LIMIT_MS,
    },
    (packet) => {
      const { stream_index: index, ...facts } = packetSchema.parse(packet);
      const track = tracks.get(index) ?? new TrackPackets();
      tracks.set(index, track);
      track.append(facts);
    },
  );
  const probed = parseFfprobeOutput(output);
  const stream = findVideoStream(probed);
  if (stream === undefined)
    throw new PermanentError('SOURCE_NO_PICTURE', `There is no video track (${activity}).`, {
      hint: 'Pass a file with a video track. Cover art does not count as video.',
    });
  const video = readVideoInfo(probed, stream, 0);
  const pts = tracks.get(video.trackIndex)?.shown.view() ?? new Float64Array();
  return {
    video,
    // Typed arrays sort NaN to the end.
    timeline: { timeBase: video.timeBase, pts: Float64Array.from(pts).sort() },
    sound: video.tracks
      .filter(({ kind }) => kind === 'audio')
      .map(({ index, codec = 'unknown' }) => {
        const track = tracks.get(index) ?? new TrackPackets();
        return {
          index,
          codec,
          packetCount: track.times.length,
          digest: withDigests ? track.hash.digest('hex') : undefined,
          times: track.times.view(),
        };
      }),
    chapterCount: chapters.parse(output).chapters.length,
  };
}

class TrackPackets {
  /** In ticks, without packets that are empty or hidden by an edit list. */
  readonly shown = new TickList();
  readonly times = new TickList();
  readonly hash = createHash('sha256');

  append({
    pts,
    pts_time: time,
    size,
    flags,
    data_hash: hash,
  }: Omit<z.infer<typeof packetSchema>, 'stream_index'>): void {
    if (Number(size) > 0 && !flags.includes('D')) this.shown.append(pts ?? Number.NaN);
    this.times.append(Number(time));
    if (hash !== undefined) this.hash.update(hash);
  }
}
