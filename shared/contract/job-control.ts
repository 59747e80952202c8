/**
 * `control/jobs/<jobId>`: what an operator wants of a job. Commands and the page write it; producers and workers look at it every few
 * seconds. PURE.
 */
import { z } from 'zod';

import { JOB_CONTROLS_PREFIX, JOB_ID_PATTERN } from './blob-names.ts';
import { PRIORITIES } from './job.ts';
import { parseJson } from './parse-json.ts';

/**
 * run     as usual
 * pause   no further batch is sent; batches that a worker has in hand are finished
 * cancel  workers drop their batches, and the job ends without a result
 */
const JOB_ORDERS = ['run', 'pause', 'cancel'] as const;

const jobControl = z.object({
  version: z.literal(1),
  jobId: z.string().regex(JOB_ID_PATTERN),
  order: z.enum(JOB_ORDERS),
  /** How often the job was paused. After a pause, all batches that are not done are sent again. */
  pauses: z.int().min(0).default(0),
  /** Replaces the priority of the request. */
  priority: z.enum(PRIORITIES).optional(),
  /** Once the job has ended: removes what is stored of it, `frames` (pieces, segments) at once. */
  clean: z.literal('frames').optional(),
  setAt: z.iso.datetime(),
});
export type JobControl = Readonly<z.infer<typeof jobControl>>;

export function encodeJobControl(control: JobControl): string {
  return JSON.stringify(control, undefined, 2);
}

/** Undefined if the text is not a control of this job. */
export function decodeJobControl(text: string, jobId: string): JobControl | undefined {
  const control = jobControl.safeParse(parseJson(text)).data;
  return control?.jobId === jobId ? control : undefined;
}

/** The job in the blob name of a control; undefined for any other name. */
export function jobIdOfControl(blobName: string): string | undefined {
  const jobId = blobName.startsWith(JOB_CONTROLS_PREFIX) ? blobName.slice(JOB_CONTROLS_PREFIX.length) : '';
  return JOB_ID_PATTERN.test(jobId) ? jobId : undefined;
}
