/** Reads the remaining work of every open job that is not paused from the ledger, and the measured rate of each model. */
import { isTerminal } from '../../shared/contract/job.ts';
import { BATCH_FRAMES_MAX, FRAMES_MAX } from '../../shared/contract/limits.ts';
import { type LedgerJob, isPaused, priorityOf, spendingMaxOf } from '../../shared/redis/ledger-job.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import type { Spending } from '../../shared/redis/spending.ts';
import type { JobBacklog } from './observation.ts';

export interface BacklogReading {
  readonly backlog: readonly JobBacklog[];
  /** Megapixels per second of one engine. */
  readonly ratesByModel: ReadonlyMap<string, number>;
}

export async function readBacklog(
  ledger: Pick<Ledger, 'openJobs' | 'rate'>,
  spending: Pick<Spending, 'read'>,
): Promise<BacklogReading> {
  const [jobs, spent] = await Promise.all([ledger.openJobs(), spending.read()]);
  const open = jobs.filter((job) => !isTerminal(job.state) && !isPaused(job));
  const models = [...new Set(open.map(({ definition }) => definition.model.name))];
  const rates = await Promise.all(models.map(async (model) => [model, await ledger.rate(model)] as const));
  return {
    backlog: open.map((job) => backlogOf(job, (spent.byJob.get(job.jobId)?.micros ?? 0) / 1e6)),
    ratesByModel: new Map(rates.flatMap(([model, rate]) => (rate === undefined ? [] : [[model, rate]]))),
  };
}

function backlogOf(job: LedgerJob, spent: number): JobBacklog {
  const { jobId, definition, framesExpected, framesScored, framesFailed } = job;
  const { batchSize, batchesOutstanding, splitFinished } = job;
  // A video header may declare any number of frames. The ledger's number is bounded again here, before instances are started for it.
  const framesRemaining = Math.min(FRAMES_MAX, Math.max(0, framesExpected - framesScored - framesFailed));
  return {
    jobId,
    model: definition.model.name,
    priority: priorityOf(job),
    framesRemaining,
    framesDone: framesScored + framesFailed + job.framesUnderway,
    // Before the split has planned the batches, assume the smallest possible number.
    batchesRemaining: Math.ceil(framesRemaining / (batchSize ?? BATCH_FRAMES_MAX)),
    framesInFlight: Math.min(framesRemaining, batchesOutstanding * (batchSize ?? 0)),
    messagesMax: batchesOutstanding + job.batchesToSendAgain,
    megapixelsPerFrame: job.megapixelsPerFrame,
    isSplitting: !splitFinished,
    spent,
    spendingMax: spendingMaxOf(job),
    deadlineAt: definition.request.deadlineAt === undefined ? null : new Date(definition.request.deadlineAt),
  };
}
