/**
 * Copies the spending caps that operators set, `control/caps/<jobId>`, into the ledger, where dispatch and the scaler read them.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { CAPS_PREFIX, capBlob } from '../../shared/contract/blob-names.ts';
import { type JobCap, decodeJobCap, jobIdOfCap } from '../../shared/contract/cap.ts';
import { type LedgerJob, spendingMaxOf } from '../../shared/redis/ledger-job.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { forEachJob } from './for-each-job.ts';

export interface CapServices {
  readonly blobs: BlobStore;
  readonly ledger: Ledger;
  /** How often to scan for caps. */
  readonly scanMs: number;
  readonly log: Log;
}

/** Applies the caps of all open jobs once. Returns how long to rest, in milliseconds. */
export async function capsPass(services: CapServices): Promise<number> {
  const { blobs, ledger, scanMs, log } = services;
  const withCap = new Set<string>();
  for await (const { name } of blobs.list('control', { prefix: CAPS_PREFIX })) {
    const jobId = jobIdOfCap(name);
    if (jobId !== undefined) withCap.add(jobId);
  }
  if (withCap.size === 0) return scanMs;
  const jobs = (await ledger.openJobs()).filter(({ jobId }) => withCap.has(jobId));
  await forEachJob(jobs, (job) => applyCap(services, job), { log, doing: 'applying the cap' });
  return scanMs;
}

async function applyCap({ blobs, ledger, log }: CapServices, job: LedgerJob): Promise<void> {
  const { jobId } = job;
  const cap = await readCap({ blobs, log }, jobId);
  if (cap === undefined || spendingMaxOf(job) === cap.spendingMax) return;
  if (await ledger.setControl(jobId, { spendingMax: cap.spendingMax }))
    log.info({ jobId, spendingMax: cap.spendingMax, before: spendingMaxOf(job) }, 'cap changed');
}

/** Undefined if no cap is set or it cannot be read. The cap from the job request then applies. */
export async function readCap(
  { blobs, log }: Pick<CapServices, 'blobs' | 'log'>,
  jobId: string,
): Promise<JobCap | undefined> {
  const bytes = await blobs.get('control', capBlob(jobId));
  if (bytes === undefined) return undefined;
  const cap = decodeJobCap(bytes.toString('utf8'), jobId);
  if (cap === undefined) log.warn({ jobId }, 'cap ignored: cannot be read');
  return cap;
}
