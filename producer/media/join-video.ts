/**
 * Makes the result: the encoded segments as one video track, at the timestamps of the source, with all other tracks of the source.
 *
 * Nothing is decoded or encoded. Guarantees: timestamps exact to one tick of the coarser time base (Matroska: 1 ms); audio copied packet
 * for packet; the same bytes from the same segments; bounded memory, because ffmpeg sets the pace; no partial file after a failure; the
 * message of ffmpeg in the error. Storing the result and checking it (`checkResult`) are left to the caller. Overwrites
 * `outputPath`.
 */
import type { FrameSize } from '../../shared/contract/segment.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import { lossesOf } from './copy-plan.ts';
import { type ResultPlan, joinCommand } from './join-command.ts';
import { VideoJoiner, reorderDepthOf } from './joined-video.ts';
import { type SegmentSamples, readSegment } from './segment-samples.ts';
import { secondsPerTick, typicalFrameSeconds } from './timeline.ts';
import type { WorkableTracks } from './try-tracks.ts';
import { writeResult } from './write-result.ts';

export interface JoinRequest extends ResultPlan {
  /** The tracks besides the video, from `workableTracks`. */
  readonly trackPlan: WorkableTracks;
  /** Summed over all threads of ffmpeg. */
  readonly cpuSecondsMax: number;
  /** Of the scored frames, in pixels, before the encoder made it even. */
  readonly frameSize: FrameSize;
  /** In order, from the first frame to the last. Must end when `signal` aborts. Called again if a later segment turns out to reorder more than the first. */
  readonly segments: () => AsyncIterable<Buffer>;
  readonly signal?: AbortSignal | undefined;
}

const MIXED =
  'Workers with different builds of the encoder made this result. It plays, and some editors may not read it.';

/** A segment reorders its frames more than those before it. */
class ReorderDepthError extends Error {
  readonly depth: number;

  constructor(depth: number) {
    super(`a segment has a reorder depth of ${depth}`);
    this.depth = depth;
  }
}

/** Returns warnings: first what could not be kept, then those of ffmpeg. Throws MEDIA_TOOL_FAILED, or the error of `segments`. */
export async function joinVideo(request: JoinRequest): Promise<{ readonly warnings: readonly string[] }> {
  const { trackPlan, frameSize, encoding } = request;
  const isPadded = encoding.crf !== null;
  const losses = [...lossesOf({ ...request, ...frameSize, isPadded }), ...trackPlan.warnings];
  for (let depth: number | undefined; ;) {
    try {
      return { warnings: [...losses, ...(await joinWithDepth(request, depth))] };
    } catch (error) {
      if (!(error instanceof ReorderDepthError)) throw error;
      depth = error.depth;
    }
  }
}

/** Returns the warnings of ffmpeg. Takes the reorder depth of the first segment, if none is given. */
async function joinWithDepth(request: JoinRequest, depth: number | undefined): Promise<readonly string[]> {
  const { timeline, video, segments } = request;
  const { tracks, corrections } = request.trackPlan;
  await using parsed = parsedSegments(segments());
  const { value: first } = await parsed.next();
  if (first === undefined) throw countsDiffer(timeline.pts.length, 'no frames');
  const reorderDepth = depth ?? reorderDepthOf(first);
  const lastFrameTicks = Math.max(
    1,
    Math.round(typicalFrameSeconds(timeline, video) / secondsPerTick(timeline)),
  );
  const joiner = new VideoJoiner({ timeline, reorderDepth, lastFrameTicks });
  const command = joinCommand({ ...request, tracks, corrections }, joiner.leadSeconds);
  const activity = 'joining the segments of the result';
  const track = joinedBytes(joiner, reorderDepth, first, parsed, timeline.pts.length);
  const warnings = await writeResult({ ...request, command, activity }, track);
  return joiner.isMixed ? [MIXED, ...warnings] : warnings;
}

async function* parsedSegments(segments: AsyncIterable<Buffer>): AsyncGenerator<SegmentSamples, undefined> {
  for await (const bytes of segments) yield readSegment(bytes);
}

async function* joinedBytes(
  joiner: VideoJoiner,
  reorderDepth: number,
  first: SegmentSamples,
  rest: AsyncIterable<SegmentSamples>,
  frameCount: number,
): AsyncGenerator<Uint8Array, void> {
  yield joiner.header(first);
  yield* joiner.segment(0, first);
  let frames = first.samples.length;
  for await (const segment of rest) {
    const depth = reorderDepthOf(segment);
    if (depth > reorderDepth) throw new ReorderDepthError(depth);
    if (frames + segment.samples.length > frameCount) throw countsDiffer(frameCount, 'more');
    yield* joiner.segment(frames, segment);
    frames += segment.samples.length;
  }
  if (frames < frameCount) throw countsDiffer(frameCount, String(frames));
}

function countsDiffer(expected: number, found: string): PermanentError {
  return new PermanentError(
    'MEDIA_TOOL_FAILED',
    `The timeline has ${expected} frames, but the segments have ${found}.`,
    {
      hint: 'Enqueue the video again. The segments and the timeline do not belong to the same split.',
    },
  );
}
