/** Publishes the depth of the poison queue as a metric. */
import type { WorkQueue } from '../../shared/azure/work-queue.ts';
import type { ProducerMetrics } from '../metrics.ts';

const INTERVAL_MS = 10_000;

/** Returns how long to rest, in milliseconds. */
export async function poisonDepthPass(poison: WorkQueue, metrics: ProducerMetrics): Promise<number> {
  metrics.poisonMessages.set(await poison.countApprox());
  return INTERVAL_MS;
}
