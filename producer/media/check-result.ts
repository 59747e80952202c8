/**
 * Checks a stored result against its timeline before its job is completed.
 *
 * Guarantees that the result has one video packet per frame, the duration of the timeline to within one frame, and all audio
 * tracks of the plan; a frame with another time than in the timeline is worth a warning. Reads every packet but decodes none, so it does not
 * check what the frames look like.
 */
import { type Hash, createHash } from 'node:crypto';

import { PermanentError } from '../../shared/runtime/errors.ts';
import {
  type MediaCheck,
  type ExpectedFrames,
  compareAudioTrackCount,
  compareDuration,
  compareFrameCount,
  compareFrameTimes,
} from './compare-media.ts';
import { readMediaFacts } from './media-facts.ts';

/** What the result must match. */
export interface ExpectedResult extends ExpectedFrames {
  /** Audio tracks that the plan keeps. */
  readonly audioTrackCount: number;
}

export interface CheckedResult {
  readonly sha256: string;
  readonly warnings: readonly string[];
}

/** Reads the result once, front to back. Throws MEDIA_TOOL_FAILED and lists every difference. */
export async function checkResult(
  bytes: AsyncIterable<Uint8Array>,
  expected: ExpectedResult,
): Promise<CheckedResult> {
  const hash = createHash('sha256');
  const { video, timeline, sound } = await readMediaFacts({
    input: hashed(bytes, hash),
    activity: 'reading the result',
    withDigests: false,
  });
  const found = { timeline, durationSeconds: video.durationSeconds };
  const differences = [
    compareFrameCount(expected, found),
    compareDuration(expected, found),
    compareAudioTrackCount(expected.audioTrackCount, sound.length),
  ].filter(({ verdict }) => verdict === 'differs');
  if (differences.length > 0)
    throw new PermanentError(
      'MEDIA_TOOL_FAILED',
      `The result does not match the source: ${differences.map(differenceText).join('; ')}.`,
      { hint: 'Enqueue the video again. If this error recurs, report it.' },
    );
  const times = compareFrameTimes(expected, found);
  const warnings =
    times.verdict === 'same'
      ? []
      : [`The result shows frames at other times than the source: ${differenceText(times)}.`];
  return { sha256: hash.digest('hex'), warnings };
}

function differenceText({ what, source, result }: MediaCheck): string {
  return `${what.toLowerCase()}: ${result}, expected ${source}`;
}

async function* hashed(bytes: AsyncIterable<Uint8Array>, hash: Hash): AsyncGenerator<Uint8Array> {
  for await (const piece of bytes) {
    hash.update(piece);
    yield piece;
  }
}
