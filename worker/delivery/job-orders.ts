/** What operators want of the jobs of this worker's batches, `control/jobs/<jobId>`. */
import { controlBlob } from '../../shared/contract/blob-names.ts';
import { type JobControl, decodeJobControl } from '../../shared/contract/job-control.ts';
import type { DeliveryServices } from './services.ts';

/** A cancelled job stops within this time and that of a frame, ten seconds in all. Each look is a read from storage, which costs. */
const ORDER_MS = 8_000;

export class JobOrders {
  readonly #services: Pick<DeliveryServices, 'blobs' | 'clock' | 'log'>;
  /** When a job was last allowed to run. Any other order is read each time: it may have been withdrawn. */
  readonly #ranAtMs = new Map<string, number>();

  constructor(services: Pick<DeliveryServices, 'blobs' | 'clock' | 'log'>) {
    this.#services = services;
  }

  /** As of eight seconds ago at most. If storage does not say, the job runs. */
  async of(jobId: string, signal?: AbortSignal): Promise<JobControl['order']> {
    const { blobs, clock, log } = this.#services;
    const nowMs = clock.monotonicMs();
    for (const [one, atMs] of this.#ranAtMs) if (nowMs - atMs >= ORDER_MS) this.#ranAtMs.delete(one);
    if (this.#ranAtMs.has(jobId)) return 'run';
    try {
      const bytes = await blobs.get('control', controlBlob(jobId), { signal });
      const order = (bytes && decodeJobControl(bytes.toString('utf8'), jobId)?.order) ?? 'run';
      if (order !== 'run') return order;
    } catch (error) {
      if (signal?.aborted === true) return 'run';
      log.debug({ jobId, error }, 'job control not read');
    }
    this.#ranAtMs.set(jobId, nowMs);
    return 'run';
  }
}
