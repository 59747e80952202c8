/** The log of a job's frames, which workers append to `logs/<jobId>/`: read, filtered and formatted. */
import { z } from 'zod';

import type { BlobStore } from '../../../shared/azure/blob-store.ts';
import { instantText, textTable } from '../../../shared/command/text.ts';
import { jobPrefix } from '../../../shared/contract/blob-names.ts';
import { STAGES } from '../../../shared/contract/messages.ts';
import { parseJson } from '../../../shared/contract/parse-json.ts';

/** Of what a worker writes, the parts that are shown. Workers of other releases may write more. */
const frameLine = z.object({
  at: z.string(),
  frame: z.int(),
  batchIndex: z.int(),
  delivery: z.int(),
  worker: z.string(),
  outcome: z.string(),
  kind: z.string().nullable(),
  message: z.string().nullable(),
  seconds: z.record(z.string(), z.number()).nullable(),
});
type FrameLogLine = z.infer<typeof frameLine>;

export interface FrameLogFilter {
  /** Null: all. */
  readonly frame: number | null;
  readonly onlyFailed: boolean;
}

/** In the order of time, and of frames. */
export async function frameLogLines(
  blobs: BlobStore,
  jobId: string,
  { frame, onlyFailed }: FrameLogFilter,
): Promise<FrameLogLine[]> {
  const lines: FrameLogLine[] = [];
  for await (const { name } of blobs.list('logs', { prefix: jobPrefix(jobId) })) {
    const text = String(await blobs.get('logs', name));
    for (const line of text.split('\n')) {
      const parsed = frameLine.safeParse(parseJson(line)).data;
      if (parsed === undefined || (frame !== null && parsed.frame !== frame)) continue;
      if (!onlyFailed || parsed.outcome === 'failed') lines.push(parsed);
    }
  }
  return lines.toSorted((a, b) => a.at.localeCompare(b.at) || a.frame - b.frame);
}

export function frameLogText(lines: readonly FrameLogLine[]): string {
  const rows = lines.map(({ at, frame, batchIndex, delivery, worker, outcome, kind, message, seconds }) => [
    instantText(at),
    String(frame),
    String(batchIndex),
    String(delivery),
    worker,
    outcome,
    outcome === 'failed' ? `${kind}: ${message}` : secondsText(seconds ?? {}),
  ]);
  return textTable(['WHEN', 'FRAME', 'BATCH', 'DELIVERY', 'WORKER', 'OUTCOME', 'DETAILS'], rows);
}

/** `decode 0.004 s, infer 0.09 s`. */
function secondsText(seconds: Readonly<Record<string, number>>): string {
  return STAGES.flatMap((stage) => {
    const value = seconds[stage] ?? 0;
    return value > 0 ? [`${stage} ${Number(value.toPrecision(2))} s`] : [];
  }).join(', ');
}
