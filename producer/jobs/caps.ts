/** Caps that operators have set for jobs, `control/caps/<jobId>`: taken up by the ledger, where dispatch and the scaler read them. */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { CAPS_PREFIX, capBlob } from '../../shared/contract/blob-names.ts';
import { type JobCap, decodeJobCap, jobIdOfCap } from '../../shared/contract/cap.ts';
import { type LedgerJob, spendingMaxOf } from '../../shared/redis/ledger-job.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { eachJob } from './each-job.ts';

export interface CapParts {
  readonly blobs: BlobStore;
  readonly ledger: Ledger;
  /** How often caps are looked for. */
  readonly scanMs: number;
  readonly log: Log;
}

/** One look at the caps of open jobs; returns how long to rest. */
export async function capsPass(parts: CapParts): Promise<number> {
  const { blobs, ledger, scanMs, log } = parts;
  const withCap = new Set<string>();
  for await (const { name } of blobs.list('control', { prefix: CAPS_PREFIX })) {
    const jobId = jobIdOfCap(name);
    if (jobId !== undefined) withCap.add(jobId);
  }
  if (withCap.size === 0) return scanMs;
  const jobs = (await ledger.openJobs()).filter(({ jobId }) => withCap.has(jobId));
  await eachJob(jobs, (job) => takeUp(parts, job), { log, doing: 'taking up its cap' });
  return scanMs;
}

async function takeUp({ blobs, ledger, log }: CapParts, job: LedgerJob): Promise<void> {
  const { jobId } = job;
  const cap = await readCap({ blobs, log }, jobId);
  if (cap === undefined || spendingMaxOf(job) === cap.spendingMax) return;
  if (await ledger.setCap(jobId, cap.spendingMax))
    log.info({ jobId, spendingMax: cap.spendingMax, before: spendingMaxOf(job) }, 'cap taken up');
}

/** Undefined where none is set, or it cannot be read: then the job's own holds. */
export async function readCap(
  { blobs, log }: Pick<CapParts, 'blobs' | 'log'>,
  jobId: string,
): Promise<JobCap | undefined> {
  const bytes = await blobs.get('control', capBlob(jobId));
  if (bytes === undefined) return undefined;
  const cap = decodeJobCap(bytes.toString('utf8'), jobId);
  if (cap === undefined) log.warn({ jobId }, 'cap refused: it cannot be read');
  return cap;
}
