/**
 * The job report, `results/<jobId>/report.json`: source, model, warnings, what the job took, and each failed frame with its reason. Every
 * completed job has one, and so does a failed job that has failed frames.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { FLEET_RATES_BLOB, reportBlob } from '../../shared/contract/blob-names.ts';
import { parseFleetRates } from '../../shared/contract/fleet-rates.ts';
import type { JobActual } from '../../shared/contract/job-actual.ts';
import { type JobReport, isTerminal, jobReport } from '../../shared/contract/job.ts';
import { parseJson } from '../../shared/contract/parse-json.ts';
import type { JobTimes, JobTimesSoFar } from '../../shared/redis/job-times.ts';
import { type LedgerJob, isPaused } from '../../shared/redis/ledger-job.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import type { Spending } from '../../shared/redis/spending.ts';
import type { WorkRates } from '../../shared/redis/work-rates.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import { actualOf } from './job-actual.ts';
import { recordStageRates } from './job-stages.ts';
import { readSourcePlan } from './source-plans.ts';
import { isResolved } from './stitch-when-resolved.ts';

interface JobReportServices {
  readonly blobs: BlobStore;
  readonly ledger: Ledger;
  readonly times: JobTimes;
  readonly workRates: WorkRates;
  readonly spending: Pick<Spending, 'ofJob'>;
  readonly clock: Clock;
}

interface ReportedResult {
  readonly sha256: string;
  readonly flicker?: number | null;
}

/** `result` is null if the job has none. */
export async function putReport(
  services: JobReportServices,
  job: LedgerJob,
  result: ReportedResult | null,
): Promise<void> {
  const { blobs, ledger, workRates, clock } = services;
  const { jobId, definition, framesExpected, warnings } = job;
  const { request, model } = definition;
  const now = clock.now();
  const times = await services.times.read(jobId);
  const report: JobReport = {
    version: 1,
    jobId,
    source: request.source,
    model,
    parameters: request.parameters,
    frameCount: framesExpected,
    failedFrames: await ledger.failures(jobId),
    warnings: [...warnings],
    resultSha256: result?.sha256 ?? null,
    flicker: result?.flicker ?? null,
    createdAt: request.createdAt,
    actual: await readActual(services, job, times, now),
    completedAt: now.toISOString(),
  };
  await blobs.put('results', reportBlob(jobId), JSON.stringify(report, undefined, 2), {
    contentType: 'application/json',
  });
  if (result === null) return;
  const splitKind = (await readSourcePlan(blobs, job))?.pieces.kind;
  await recordStageRates(workRates, { job, times, splitKind, nowMs: now.getTime() });
}

async function readActual(
  { blobs, ledger, spending }: JobReportServices,
  { jobId, definition }: LedgerJob,
  times: JobTimesSoFar,
  now: Date,
): Promise<JobActual> {
  const rates = parseFleetRates(String(await blobs.get('control', FLEET_RATES_BLOB)));
  const others = (await ledger.openJobs()).filter((other) => other.jobId !== jobId);
  const isNeeded = others.some((other) => !isTerminal(other.state) && !isPaused(other) && !isResolved(other));
  const enginesPerMachine = rates?.enginesPerMachine ?? 1;
  return actualOf({
    spending: await spending.ofJob(jobId),
    times,
    enginesPerMachine,
    machinesLeft: isNeeded ? 0 : (await ledger.engines()) / enginesPerMachine,
    idleSeconds: rates?.idleSeconds ?? 0,
    since: new Date(times.reopenedAtMs ?? definition.request.createdAt),
    now,
  });
}

/** Undefined if there is no report or it cannot be read. */
export async function readReport(blobs: BlobStore, jobId: string): Promise<JobReport | undefined> {
  const bytes = await blobs.get('results', reportBlob(jobId));
  return jobReport.safeParse(parseJson(String(bytes))).data;
}
