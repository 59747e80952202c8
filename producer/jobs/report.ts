/**
 * The job report, `results/<jobId>/report.json`: source, model, warnings, and each failed frame with its reason. Every completed
 * job has one, and so does a failed job that has failed frames.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { reportBlob } from '../../shared/contract/blob-names.ts';
import { type JobReport, jobReport } from '../../shared/contract/job.ts';
import { parseJson } from '../../shared/contract/parse-json.ts';
import type { LedgerJob } from '../../shared/redis/ledger-job.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import type { Clock } from '../../shared/runtime/clock.ts';

interface JobReportServices {
  readonly blobs: BlobStore;
  readonly ledger: Ledger;
  readonly clock: Clock;
}

interface ReportedResult {
  readonly sha256: string;
  readonly flicker?: number | null;
}

/** `result` is null if the job has none. */
export async function putReport(
  { blobs, ledger, clock }: JobReportServices,
  { jobId, definition, framesExpected, warnings }: LedgerJob,
  result: ReportedResult | null,
): Promise<void> {
  const { request, model } = definition;
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
    completedAt: clock.now().toISOString(),
  };
  await blobs.put('results', reportBlob(jobId), JSON.stringify(report, undefined, 2), {
    contentType: 'application/json',
  });
}

/** Undefined if there is no report or it cannot be read. */
export async function readReport(blobs: BlobStore, jobId: string): Promise<JobReport | undefined> {
  const bytes = await blobs.get('results', reportBlob(jobId));
  return jobReport.safeParse(parseJson(String(bytes))).data;
}
