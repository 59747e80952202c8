/** What a job does now, and what it waits for. PURE. */
import type { Heartbeat } from '../../shared/contract/heartbeat.ts';
import type { JobStatus } from '../../shared/contract/job.ts';
import type { JobView } from './job-view.ts';

/** What a job that runs does, or why it does nothing. */
export const RUNNING_STATES = ['splitting', 'scoring', 'joining', 'paused', 'held'] as const;

/** The state of a job; of one that runs, one of RUNNING_STATES. */
export function stateText({ status }: Pick<JobView, 'status'>): string {
  if (status === undefined) return 'waiting';
  if (status.state !== 'running') return status.state;
  if (status.pausedSince !== null) return 'paused';
  if (status.heldAtCap !== null) return 'held';
  const { expected, split, scored, failed, underway } = status.frames;
  if (expected > 0 && split >= expected && scored + failed >= expected) return 'joining';
  return scored + underway + failed + split > 0 ? 'scoring' : 'splitting';
}

export interface WaitReason {
  readonly reason: string;
  /** What a user of the commands may do about it. */
  readonly next?: string;
}

/** Why a job that has not ended makes no progress, or what comes next; undefined if it is being scored, or has ended. */
export function waitsFor({ jobId, status }: JobView, workers: readonly Heartbeat[]): WaitReason | undefined {
  if (status === undefined)
    return {
      reason: 'No producer has accepted it yet.',
      next: 'Check that a producer runs: npm run doctor',
    };
  if (status.pausedSince !== null)
    return { reason: 'It is paused.', next: `To go on: npm run resume -- ${jobId}` };
  if (status.heldAtCap !== null) return { reason: status.heldAtCap.message };
  switch (stateText({ status })) {
    case 'waiting':
      return { reason: 'It is accepted. Its source is split as soon as a producer has a free slot.' };
    case 'joining':
      return { reason: 'Every frame is scored. The result is being joined.' };
    case 'splitting':
    case 'scoring':
      return workerText(jobId, status, workers);
    default:
      return undefined;
  }
}

function workerText(
  jobId: string,
  { frames }: JobStatus,
  workers: readonly Heartbeat[],
): WaitReason | undefined {
  const ready = workers.filter(({ state }) => state === 'idle' || state === 'busy');
  if (ready.length === 0)
    return workers.length === 0
      ? { reason: 'It waits for a machine: no worker is running.', next: 'To see why: npm run explain' }
      : { reason: 'It waits for a machine: workers are starting or stopping.' };
  if (frames.underway > 0 || ready.some((worker) => worker.state === 'busy' && worker.jobId === jobId))
    return undefined;
  if (frames.split === 0) return { reason: 'Its source is being split.' };
  const others = ready.filter(({ state, jobId: other }) => state === 'busy' && other !== null).length;
  if (others === 0) return { reason: 'It waits for a worker to take its next batch.' };
  const workersAre = ready.length === 1 ? 'worker is' : 'workers are';
  return {
    reason: `It waits for a worker: ${others} of ${ready.length} ${workersAre} busy with other jobs.`,
    next: 'To see them: npm run jobs -- --state running',
  };
}
