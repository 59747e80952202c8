/** The frames or images of an ended job that could not be scored, as its report has them, for the user. */
import type { BlobStore } from '../../../shared/azure/blob-store.ts';
import { rangeText, toRanges } from '../../../shared/contract/ranges.ts';
import { listText } from '../../../shared/runtime/list-text.ts';
import { readReport } from '../../jobs/report.ts';

/** Further reasons are in the report. */
const REASONS_SHOWN = 5;
const NAMES_SHOWN = 5;

interface FrameFailure {
  readonly frame: number;
  /** Of a still image. */
  readonly name?: string;
  readonly kind: string;
  readonly reason: string;
}

/** `imageNames`: of a job of still images, by frame. */
export async function reportedFailures(
  blobs: BlobStore,
  jobId: string,
  imageNames: readonly string[],
): Promise<FrameFailure[]> {
  const report = await readReport(blobs, jobId);
  return (report?.failedFrames ?? []).map(({ frameIndex: frame, kind, message: reason }) => {
    const name = imageNames[frame];
    return { frame, ...(name !== undefined && { name }), kind, reason };
  });
}

/** A line for each reason, with the frames or images that it holds for. PURE. */
export function failureLines(failures: readonly FrameFailure[]): string[] {
  const byReason = Map.groupBy(failures, ({ reason }) => reason);
  const lines = [...byReason].map(([reason, some]) => `  ${whichOf(some)}: ${reason}`);
  if (lines.length <= REASONS_SHOWN) return lines;
  const more = lines.length - REASONS_SHOWN;
  return [...lines.slice(0, REASONS_SHOWN), `  and ${more} more ${more === 1 ? 'reason' : 'reasons'}`];
}

function whichOf(failures: readonly FrameFailure[]): string {
  const names = failures.flatMap(({ name }) => (name === undefined ? [] : [name]));
  if (names.length > 0) return listText(names, NAMES_SHOWN);
  const ranges = toRanges(failures.map(({ frame }) => frame)).map(rangeText);
  return `${failures.length === 1 ? 'frame' : 'frames'} ${listText(ranges, NAMES_SHOWN)}`;
}
