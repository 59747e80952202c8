/**
 * `control/caps/<jobId>`: a spending cap that replaces the one with which the job was enqueued. `npm run cap` writes it; the
 * producer applies it, also when it opens the job again from storage. PURE.
 */
import { z } from 'zod';

import { CAPS_PREFIX, JOB_ID_PATTERN } from './blob-names.ts';
import { spendingAmount } from './job.ts';
import { parseJson } from './parse-json.ts';

const jobCap = z.object({
  version: z.literal(1),
  jobId: z.string().regex(JOB_ID_PATTERN),
  /** In the currency of the scaler's prices. Null: no cap. */
  spendingMax: spendingAmount.nullable(),
  setAt: z.iso.datetime(),
});
export type JobCap = z.infer<typeof jobCap>;

export function encodeJobCap(cap: JobCap): string {
  return JSON.stringify(cap, undefined, 2);
}

/** Undefined if the text is not a cap of this job. */
export function decodeJobCap(text: string, jobId: string): JobCap | undefined {
  const cap = jobCap.safeParse(parseJson(text)).data;
  return cap?.jobId === jobId ? cap : undefined;
}

/** The job in the blob name of a cap; undefined for any other name. */
export function jobIdOfCap(blobName: string): string | undefined {
  const jobId = blobName.startsWith(CAPS_PREFIX) ? blobName.slice(CAPS_PREFIX.length) : '';
  return JOB_ID_PATTERN.test(jobId) ? jobId : undefined;
}
