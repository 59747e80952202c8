/** How much work a video is: its frames, and whether the producer can cut it or must decode it. Decided as the split decides it. */
import { isToolFailure } from '../../shared/media/tool-process.ts';
import type { VideoInfo } from '../../shared/media/video-info.ts';
import { planCuts } from '../media/cut-plan.ts';
import { readPacketIndex } from '../media/packet-index.ts';
import type { EstimatedWork } from './estimate.ts';

/** Reads the index of the file, a few microseconds a frame. Throws SOURCE_TOO_LARGE. */
export async function videoWork(
  sourcePath: string,
  video: VideoInfo,
  framesMax: number,
): Promise<Pick<EstimatedWork, 'split' | 'frames' | 'megapixelsPerFrame'>> {
  const megapixelsPerFrame = (video.width * video.height) / 1e6;
  const index = await readPacketIndex(sourcePath, video, framesMax).catch((error: unknown) => {
    if (isToolFailure(error)) return undefined;
    throw error;
  });
  const declared = video.frameCountExpected ?? 0;
  if (index === undefined) return { split: 'decode', frames: declared, megapixelsPerFrame };
  const cuts = planCuts(video, index);
  return cuts.kind === 'cut'
    ? { split: 'cut', frames: cuts.timeline.pts.length, megapixelsPerFrame }
    : { split: 'decode', frames: declared || index.pts.length - index.notShown, megapixelsPerFrame };
}
