/** Dispatch on real servers, with two producers on one clock, and helpers that receive and finish batches. */
import { dispatchPass } from '../../producer/jobs/dispatch.ts';
import type { SourcePlans } from '../../producer/jobs/source-plans.ts';
import { type BatchMessage, batchMessage, decodeMessage } from '../../shared/contract/messages.ts';
import { firstSplit } from './build-job.ts';
import { BUILT_PLAN } from './build-plan.ts';
import { startControlPlane, startControlServers } from './control-plane.ts';
import { openTestQueue } from './test-queue.ts';

export const RESEND_MS = 300_000;

/** The plans of jobs that have none in storage. */
export const BUILT_PLANS = { of: () => Promise.resolve(BUILT_PLAN) };

export async function startDispatchFixture() {
  const servers = await startControlServers();
  const { control } = servers;
  const other = await startControlPlane(servers.server);
  const batches = await openTestQueue(servers.storage, 'frame-batches');
  const { clock, ledger } = control;
  const tickingClock = {
    // Every reading advances the time by a millisecond.
    now: (): Date => {
      clock.advance(1);
      return clock.now();
    },
    monotonicMs: () => clock.monotonicMs(),
    sleep: () => Promise.resolve(),
  };

  const dispatchOn = (plane: typeof control, plans: Pick<SourcePlans, 'of'> = BUILT_PLANS): Promise<number> =>
    dispatchPass({ ...plane, clock: tickingClock, batches: batches.queue, plans, resendMs: RESEND_MS });

  return {
    control,
    ledger,
    clock,
    batches,
    dispatch: (plans?: Pick<SourcePlans, 'of'>): Promise<number> => dispatchOn(control, plans),
    dispatchByOther: (): Promise<number> => dispatchOn(other),
    /** Removes all messages from the queue and returns them sorted by job and batch. */
    async takeAll(): Promise<BatchMessage[]> {
      const taken: BatchMessage[] = [];
      for (;;) {
        const message = await batches.queue.receive({ visibilityTimeoutSeconds: 60 });
        if (message === undefined) break;
        const decoded = decodeMessage(message.text, batchMessage);
        if (decoded.kind !== 'valid') throw new Error(`expected a valid batch, found ${decoded.kind}`);
        taken.push(decoded.message);
        await batches.queue.remove(message);
      }
      return taken.sort((a, b) => a.jobId.localeCompare(b.jobId) || a.batchIndex - b.batchIndex);
    },
    async finish({ jobId, batchIndex, frameStart, frameEnd }: BatchMessage): Promise<void> {
      const nowMs = clock.now().getTime();
      await ledger.resolve(firstSplit(jobId), {
        batchIndex,
        scored: [[frameStart, frameEnd]],
        failed: [],
        nowMs,
      });
    },
    async reset(): Promise<void> {
      await control.redis.flushall();
      await batches.clear();
    },
    [Symbol.asyncDispose]: async () => {
      await other[Symbol.asyncDispose]();
      await servers[Symbol.asyncDispose]();
    },
  };
}
export type DispatchFixture = Awaited<ReturnType<typeof startDispatchFixture>>;

/** Such as `job-1/0`, `job-1/1`. */
export function namesOf(batches: readonly BatchMessage[]): string[] {
  return batches.map(({ jobId, batchIndex }) => `${jobId}/${batchIndex}`);
}
