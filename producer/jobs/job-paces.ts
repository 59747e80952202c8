/** The pace of each open job, for its status. Notes the stages of jobs on the way. What is remembered here a producer that takes over learns again. */
import type { JobTimes } from '../../shared/redis/job-times.ts';
import { type LedgerJob, isPaused } from '../../shared/redis/ledger-job.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import type { WorkRates } from '../../shared/redis/work-rates.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import { JOIN_RATE_ASSUMED } from './fixed-times.ts';
import { marksOf } from './job-stages.ts';
import { type Pace, type WorkSamples, nextSamples, paceOf } from './time-left.ts';

/** The rate of the join changes when a job ends. */
const JOIN_RATE_MS = 10_000;

export interface JobPacesOptions {
  readonly ledger: Pick<Ledger, 'rate'>;
  readonly times: JobTimes;
  readonly workRates: WorkRates;
  readonly clock: Clock;
}

interface KnownJob {
  /** The names of the marks that are noted. */
  readonly marked: string;
  readonly samples: WorkSamples;
}

export class JobPaces {
  readonly #options: JobPacesOptions;
  readonly #known = new Map<string, KnownJob>();
  #joinRate = { megapixelsPerSecond: JOIN_RATE_ASSUMED, readAtMs: -Infinity };

  constructor(options: JobPacesOptions) {
    this.#options = options;
  }

  /** Null while it is not known, and of a job that waits, is paused or has ended. */
  async paceOf(job: LedgerJob): Promise<Pace | null> {
    const { ledger, times, clock } = this.#options;
    const { jobId } = job;
    const nowMs = clock.now().getTime();
    const marks = marksOf(job, nowMs);
    const marked = Object.keys(marks).join();
    const before = this.#known.get(jobId);
    if (before?.marked !== marked) await times.mark(jobId, marks);
    if (job.state !== 'running' || isPaused(job)) {
      this.#known.set(jobId, { marked, samples: before?.samples ?? [] });
      return null;
    }
    const megapixelsPerSecond = await ledger.rate(job.definition.model.name);
    const hasRate = megapixelsPerSecond !== undefined && job.megapixelsPerFrame > 0;
    const progress = {
      job,
      times: await times.read(jobId),
      workers: await times.busyWorkers(jobId, nowMs),
      expectedRate: hasRate ? megapixelsPerSecond / job.megapixelsPerFrame : null,
      joinRate: await this.#readJoinRate(),
      nowMs,
    };
    const samples = nextSamples(before?.samples ?? [], progress);
    this.#known.set(jobId, { marked, samples });
    return paceOf(progress, samples);
  }

  async #readJoinRate(): Promise<number> {
    const { workRates, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#joinRate.readAtMs > JOIN_RATE_MS) {
      const megapixelsPerSecond = (await workRates.read()).get('join') ?? JOIN_RATE_ASSUMED;
      this.#joinRate = { megapixelsPerSecond, readAtMs: nowMs };
    }
    return this.#joinRate.megapixelsPerSecond;
  }

  forgetAllBut(jobIds: ReadonlySet<string>): void {
    for (const jobId of this.#known.keys()) if (!jobIds.has(jobId)) this.#known.delete(jobId);
  }
}
