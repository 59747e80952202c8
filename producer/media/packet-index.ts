/**
 * The video packets of a source, in decoding order: what the container says about each frame, without decoding any.
 *
 * Costs ffprobe a few microseconds a frame, and about 8 bytes of memory.
 */
import { WHOLE_FILE_TIME_LIMIT_MS, forEachFfprobeLine } from '../../shared/media/ffprobe.ts';
import { tooLongError } from '../../shared/media/probe.ts';
import { quotedName } from '../../shared/media/source-refusals.ts';
import type { VideoInfo } from '../../shared/media/video-info.ts';
import { TickList } from './tick-list.ts';

export interface PacketIndex {
  /** In ticks of the track's time base; NaN for a packet without a timestamp. */
  readonly pts: Float64Array;
  /** The key frames, by their place in decoding order. Ascending. */
  readonly keyFrames: readonly number[];
  /** Packets that are empty, or that an edit list hides: they are no frame of the film. */
  readonly notShown: number;
}

/** Throws SOURCE_TOO_LARGE if there are more than `framesMax` packets, and MEDIA_TOOL_FAILED. */
export async function readPacketIndex(
  sourcePath: string,
  { trackIndex }: Pick<VideoInfo, 'trackIndex'>,
  framesMax: number,
): Promise<PacketIndex> {
  const pts = new TickList();
  const keyFrames: number[] = [];
  let notShown = 0;
  await forEachFfprobeLine(
    {
      input: sourcePath,
      fields: ['-select_streams', String(trackIndex), '-show_entries', 'packet=pts,size,flags'],
      activity: `reading the index of ${quotedName(sourcePath)}`,
      timeLimitMs: WHOLE_FILE_TIME_LIMIT_MS,
    },
    (line) => {
      const [ptsText = '', size, flags = ''] = line.split(',');
      if (pts.length > framesMax) return;
      if (flags.includes('K')) keyFrames.push(pts.length);
      // ffprobe prints N/A for a packet without a timestamp.
      pts.append(Number(ptsText));
      if (Number(size) === 0 || flags.includes('D')) notShown += 1;
    },
  );
  if (pts.length > framesMax) throw tooLongError('has too many frames', `${framesMax} frames`);
  return { pts: pts.view(), keyFrames, notShown };
}
