/** How much stands on the poison queue, for whoever is to hear of it. */
import type { WorkQueue } from '../../shared/azure/work-queue.ts';
import type { ProducerMetrics } from '../metrics.ts';

const LOOK_EVERY_MS = 10_000;

export async function poisonDepthPass({
  poison,
  metrics,
}: {
  readonly poison: WorkQueue;
  readonly metrics: ProducerMetrics;
}): Promise<number> {
  metrics.poisonMessages.set(await poison.countApprox());
  return LOOK_EVERY_MS;
}
