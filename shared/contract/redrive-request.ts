/**
 * `control/redrive/<jobId>/<poisonId>`: a request to retry a failure of a job. Any program with access to storage may write it;
 * the producer carries it out and then removes it. PURE.
 */
import { z } from 'zod';

import { JOB_ID_PATTERN, NAME_PATTERN } from './blob-names.ts';
import { batchFrames } from './messages.ts';
import { parseJson } from './parse-json.ts';

/** The prefix of all requests. */
export const REDRIVE_PREFIX = 'redrive/';

const redriveRequest = z.object({
  version: z.literal(1),
  poisonId: z.string().regex(NAME_PATTERN),
  /** The frames of one failure, at most as many as a batch has. None: a failed job is run again with what is stored. */
  frames: batchFrames,
  requestedAt: z.iso.datetime(),
});
export type RedriveRequest = z.infer<typeof redriveRequest>;

export function encodeRedriveRequest(request: RedriveRequest): string {
  return JSON.stringify(request);
}

/** Undefined if the text is not a request. */
export function decodeRedriveRequest(text: string): RedriveRequest | undefined {
  const parsed = redriveRequest.safeParse(parseJson(text));
  return parsed.success ? parsed.data : undefined;
}

/** The job in the blob name of a request; undefined for any other name. */
export function jobIdOfRedrive(blobName: string): string | undefined {
  const [folder, jobId = '', poisonId = '', ...rest] = blobName.split('/');
  const isRequest = folder === 'redrive' && rest.length === 0 && NAME_PATTERN.test(poisonId);
  return isRequest && JOB_ID_PATTERN.test(jobId) ? jobId : undefined;
}
