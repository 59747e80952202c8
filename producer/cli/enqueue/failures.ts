/** The frames or images of an ended job that could not be scored, as its report has them, for the user. */
import type { BlobStore } from '../../../shared/azure/blob-store.ts';
import { toRanges } from '../../../shared/contract/ranges.ts';
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
  const parts =
    names.length > 0
      ? names
      : toRanges(failures.map(({ frame }) => frame)).map(([start, end]) =>
          end - start === 1 ? String(start) : `${start}-${end - 1}`,
        );
  const more = parts.length > NAMES_SHOWN ? ` and ${parts.length - NAMES_SHOWN} more` : '';
  const text = `${parts.slice(0, NAMES_SHOWN).join(', ')}${more}`;
  return names.length > 0 ? text : `${failures.length === 1 ? 'frame' : 'frames'} ${text}`;
}
