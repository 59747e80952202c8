/** What a job does now, and what it waits for. PURE. */
import { instantText } from '../../shared/command/text.ts';
import type { Heartbeat } from '../../shared/contract/heartbeat.ts';
import type { JobStatus } from '../../shared/contract/job.ts';
import type { JobView } from './job-view.ts';

/** `running`, or what it does or why it does nothing. */
export function stateText({ status }: Pick<JobView, 'status'>): string {
  if (status === undefined) return 'waiting';
  if (status.state !== 'running') return status.state;
  if (status.pausedSince !== null) return 'paused';
  if (status.heldAtCap !== null) return 'held';
  const { expected, split, scored, failed, underway } = status.frames;
  if (expected > 0 && split >= expected && scored + failed >= expected) return 'joining';
  return scored + underway + failed > 0 ? 'scoring' : 'splitting';
}

/** Why a job that has not ended makes no progress, or what comes next; undefined if it is being scored, or has ended. */
export function waitsFor({ jobId, status }: JobView, workers: readonly Heartbeat[]): string | undefined {
  if (status === undefined)
    return 'No producer has accepted it yet. Check that a producer runs: npm run doctor';
  if (status.pausedSince !== null)
    return `It is paused since ${instantText(status.pausedSince)}. To go on: npm run resume -- ${jobId}`;
  if (status.heldAtCap !== null) return status.heldAtCap.message;
  switch (stateText({ status })) {
    case 'waiting':
      return 'It is accepted. Its source is taken apart as soon as a producer has a free slot.';
    case 'joining':
      return 'Every frame is scored. The result is put together.';
    case 'splitting':
    case 'scoring':
      return workerText(status, workers);
    default:
      return undefined;
  }
}

function workerText({ frames }: JobStatus, workers: readonly Heartbeat[]): string | undefined {
  const ready = workers.filter(({ state }) => state === 'idle' || state === 'busy');
  if (ready.length === 0)
    return workers.length === 0
      ? 'It waits for a machine: no worker is running. To see why: npm run explain'
      : 'It waits for a machine: workers are starting or stopping.';
  if (frames.scored + frames.failed + frames.underway > 0) return undefined;
  if (frames.split === 0) return 'Its source is being taken apart.';
  const busy = ready.filter(({ state }) => state === 'busy').length;
  return `Its first frames wait for a worker: ${busy} of ${ready.length} ${ready.length === 1 ? 'worker is' : 'workers are'} busy.`;
}
