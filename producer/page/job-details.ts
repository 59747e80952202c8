/** One job in detail, for its own page. */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { contactSheetBlob } from '../../shared/contract/blob-names.ts';
import type { Heartbeat } from '../../shared/contract/heartbeat.ts';
import type { JobTimes, JobTimesSoFar } from '../../shared/redis/job-times.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import { type JobView, readWorkersAlive } from '../control/job-view.ts';
import { waitsFor } from '../control/job-words.ts';
import { waitingSince } from '../jobs/job-actual.ts';
import { readReport } from '../jobs/report.ts';
import { sheetCellsFrom } from '../media/sheet-metadata.ts';
import type { JobDetail, JobStage } from './contract.ts';
import type { JobIndex } from './job-index.ts';
import { actionsFor, isOver } from './job-summary.ts';
import { describeResult } from './result.ts';

/** The heartbeats are listed once for all who ask. */
const WORKERS_MS = 3_000;

export interface JobDetailReaderOptions {
  readonly blobs: BlobStore;
  readonly index: JobIndex;
  readonly times: Pick<JobTimes, 'read'>;
  readonly clock: Clock;
}

export class JobDetailReader {
  readonly #blobs: BlobStore;
  readonly #index: JobIndex;
  readonly #times: Pick<JobTimes, 'read'>;
  readonly #clock: Clock;
  #workers: { readonly alive: Promise<readonly Heartbeat[]>; readonly atMs: number } | undefined;

  constructor({ blobs, index, times, clock }: JobDetailReaderOptions) {
    this.#blobs = blobs;
    this.#index = index;
    this.#times = times;
    this.#clock = clock;
  }

  /** Undefined if there is no such job. */
  async of(jobId: string): Promise<JobDetail | undefined> {
    // In this order: the summary is that of the view.
    const view = await this.#index.view(jobId);
    const summary = await this.#index.summary(jobId);
    if (view === undefined || summary === undefined) return undefined;
    const { status } = view;
    const waits = isOver(view) ? undefined : waitsFor(view, await this.#alive());
    return {
      ...summary,
      waitsFor: waits?.reason ?? null,
      warnings: status?.warnings ?? [],
      error: status?.error ?? null,
      stages: await this.#stages(view),
      sheet: await this.#sheet(jobId),
      actions: actionsFor(view),
      result: describeResult(view),
    };
  }

  async #alive(): Promise<readonly Heartbeat[]> {
    const nowMs = this.#clock.monotonicMs();
    if (this.#workers === undefined || nowMs - this.#workers.atMs > WORKERS_MS)
      this.#workers = { alive: readWorkersAlive(this.#blobs, this.#clock.now()), atMs: nowMs };
    return this.#workers.alive;
  }

  async #stages(view: JobView): Promise<JobStage[]> {
    const { jobId, status } = view;
    const report = isOver(view) ? await readReport(this.#blobs, jobId) : undefined;
    if (report?.actual) return [...report.actual.stages];
    const stages = stagesSoFar(view, await this.#times.read(jobId), this.#clock.now().getTime());
    // A cancelled job has no report.
    return isOver(view)
      ? stages.map((stage) => ({ ...stage, to: stage.to ?? status?.updatedAt ?? null }))
      : stages;
  }

  async #sheet(jobId: string): Promise<JobDetail['sheet']> {
    const stat = await this.#blobs.stat('results', contactSheetBlob(jobId));
    if (stat === undefined) return null;
    const cells = sheetCellsFrom(stat.metadata);
    if (cells === undefined) return null;
    const { frames, width, height } = cells;
    return { version: stat.etag.replaceAll('"', ''), frames, width: Math.floor(width / 2), height };
  }
}

/** Those that have begun. They overlap. */
function stagesSoFar({ request }: JobView, times: JobTimesSoFar, nowMs: number): JobStage[] {
  const { reopenedAtMs, splittingSinceMs, splitAtMs, scoringSinceMs, scoredAtMs } = times;
  const stages = [
    { name: 'waiting', fromMs: reopenedAtMs ?? Date.parse(request.createdAt), toMs: splittingSinceMs },
    { name: 'splitting', fromMs: splittingSinceMs, toMs: splitAtMs },
    { name: 'waiting', fromMs: waitingSince(times, nowMs), toMs: scoringSinceMs },
    { name: 'scoring', fromMs: scoringSinceMs, toMs: scoredAtMs },
    { name: 'joining', fromMs: scoredAtMs, toMs: undefined },
  ] as const;
  return stages.flatMap(({ name, fromMs, toMs }) =>
    fromMs === undefined
      ? []
      : [{ name, from: isoTime(fromMs), to: toMs === undefined ? null : isoTime(toMs) }],
  );
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
