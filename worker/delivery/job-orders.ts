/** What operators want of the jobs of this worker's batches, `control/jobs/<jobId>`. */
import { controlBlob } from '../../shared/contract/blob-names.ts';
import { type JobControl, decodeJobControl } from '../../shared/contract/job-control.ts';
import type { DeliveryServices } from './services.ts';

/** A cancelled job stops within this time and that of a frame, ten seconds in all. Each look is a read from storage, which costs. */
const ORDER_MS = 8_000;

type JobOrder = JobControl['order'];

export class JobOrders {
  readonly #services: Pick<DeliveryServices, 'blobs' | 'clock' | 'log'>;
  readonly #seen = new Map<string, { readonly order: JobOrder; readonly atMs: number }>();

  constructor(services: Pick<DeliveryServices, 'blobs' | 'clock' | 'log'>) {
    this.#services = services;
  }

  /** Before a batch: an order that stops the job may have been withdrawn, and is read again. */
  async beforeBatch(jobId: string): Promise<JobOrder> {
    if (this.#seen.get(jobId)?.order !== 'run') this.#seen.delete(jobId);
    return this.of(jobId);
  }

  /** As of eight seconds ago at most. If storage does not say, the job runs. */
  async of(jobId: string, signal?: AbortSignal): Promise<JobOrder> {
    const atMs = this.#services.clock.monotonicMs();
    for (const [one, seen] of this.#seen) if (atMs - seen.atMs >= ORDER_MS) this.#seen.delete(one);
    const order = this.#seen.get(jobId)?.order ?? (await this.#read(jobId, signal));
    if (signal?.aborted !== true && !this.#seen.has(jobId)) this.#seen.set(jobId, { order, atMs });
    return order;
  }

  async #read(jobId: string, signal?: AbortSignal): Promise<JobOrder> {
    const { blobs, log } = this.#services;
    try {
      const bytes = await blobs.get('control', controlBlob(jobId), { signal });
      return (bytes && decodeJobControl(bytes.toString('utf8'), jobId)?.order) ?? 'run';
    } catch (error) {
      if (signal?.aborted !== true) log.debug({ jobId, error }, 'job control not read');
      return 'run';
    }
  }
}
