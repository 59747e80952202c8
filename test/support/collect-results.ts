/** Collects the results of several batches, in any order. */
import type { BatchMessage, ResultMessage } from '../../shared/contract/messages.ts';
import { indicesOf } from '../../shared/contract/ranges.ts';
import type { WorkerFixture } from './worker-fixture.ts';

/** An unanswered storage call of an engine fails after three minutes. */
const RESULT_WITHIN_MS = 300_000;

/** Takes results until every frame of each batch is accounted for, scored or failed. Returns them by job. */
export async function collectResults(
  fixture: WorkerFixture,
  batches: readonly BatchMessage[],
): Promise<Map<string, ResultMessage[]>> {
  const results = new Map<string, ResultMessage[]>(batches.map(({ jobId }) => [jobId, []]));
  const open = new Set(
    batches.flatMap(({ jobId, frameStart, frameEnd }) =>
      [...indicesOf([[frameStart, frameEnd]])].map((frameIndex) => `${jobId} ${frameIndex}`),
    ),
  );
  while (open.size > 0) {
    const result = await fixture.nextResult({ boundMs: RESULT_WITHIN_MS });
    const { jobId } = result;
    const ofJob = results.get(jobId);
    if (ofJob === undefined) throw new Error(`expected results of our own jobs only, received ${jobId}`);
    ofJob.push(result);
    for (const frameIndex of indicesOf([...result.scored, ...result.failed.flatMap(({ frames }) => frames)]))
      open.delete(`${jobId} ${frameIndex}`);
  }
  return results;
}
