/** The collector on real servers: results go into the queue, and their effect is read from the ledger. */
import { Collector } from '../../producer/jobs/collect.ts';
import { type ResultMessage, encodeMessage } from '../../shared/contract/messages.ts';
import { buildResult } from './build-job.ts';
import { passUntilRest, startControlServers } from './control-plane.ts';
import { openTestQueue } from './test-queue.ts';

export async function startCollectFixture() {
  const servers = await startControlServers();
  const { storage, server, control } = servers;
  const results = await openTestQueue(storage, 'batch-results');
  return {
    storage,
    server,
    control,
    results,
    send: (jobId: string, changes: Partial<ResultMessage>): Promise<void> =>
      results.queue.send(encodeMessage(buildResult(jobId, changes))),
    /** Collects every result on the queue. */
    async collect(): Promise<void> {
      const collector = new Collector({ ...control, results: results.queue });
      await passUntilRest(() => collector.pass());
    },
    async reset(): Promise<void> {
      control.metrics.registry.resetMetrics();
      await control.redis.flushall();
      await results.clear();
    },
    [Symbol.asyncDispose]: () => servers[Symbol.asyncDispose](),
  };
}
export type CollectFixture = Awaited<ReturnType<typeof startCollectFixture>>;
