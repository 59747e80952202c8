/**
 * The video packets of a source, in decoding order: what the container says about each frame, without decoding any.
 *
 * Costs ffprobe a few microseconds a frame, and 9 bytes of memory.
 */
import { forEachFfprobeLine } from '../../shared/media/ffprobe.ts';
import { tooLongError } from '../../shared/media/probe.ts';
import { quotedName } from '../../shared/media/source-refusals.ts';
import type { VideoInfo } from '../../shared/media/video-info.ts';

/** 100 GB at 100 MB/s is 1,000 s. */
const TIME_LIMIT_MS = 1_800_000;
const CAPACITY_FIRST = 4_096;

export interface PacketIndex {
  /** In ticks of the track's time base; NaN for a packet without a timestamp. */
  readonly pts: Float64Array;
  /** 1 for a key frame. */
  readonly isKey: Uint8Array;
  /** Packets that are empty, or that an edit list hides: they are no frame of the film. */
  readonly notShown: number;
}

/** Throws SOURCE_TOO_LARGE beyond `framesMax`, and MEDIA_TOOL_FAILED. */
export async function readPacketIndex(
  sourcePath: string,
  { trackIndex }: Pick<VideoInfo, 'trackIndex'>,
  framesMax: number,
): Promise<PacketIndex> {
  let pts = new Float64Array(CAPACITY_FIRST);
  let isKey = new Uint8Array(CAPACITY_FIRST);
  let [count, notShown] = [0, 0];
  await forEachFfprobeLine(
    {
      path: sourcePath,
      fields: ['-select_streams', String(trackIndex), '-show_entries', 'packet=pts,size,flags'],
      activity: `reading the index of ${quotedName(sourcePath)}`,
      timeLimitMs: TIME_LIMIT_MS,
    },
    (line) => {
      const [ptsText = '', size, flags = ''] = line.split(',');
      if (count === framesMax) return;
      if (count === pts.length) {
        pts = enlarged(pts, new Float64Array(count * 2));
        isKey = enlarged(isKey, new Uint8Array(count * 2));
      }
      // ffprobe prints N/A for a packet without a timestamp.
      pts[count] = Number(ptsText);
      isKey[count] = flags.includes('K') ? 1 : 0;
      count += 1;
      if (Number(size) === 0 || flags.includes('D')) notShown += 1;
    },
  );
  if (count === framesMax) throw tooLongError('has too many frames', `${framesMax} frames`);
  return { pts: pts.subarray(0, count), isKey: isKey.subarray(0, count), notShown };
}

function enlarged<T extends Float64Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
