/**
 * `control/redrive/<jobId>/<poisonId>`: a failure of a job is to be tried again. Whoever can reach storage may ask; the producer
 * carries it out, and takes the request away when it is done. PURE.
 */
import { z } from 'zod';

import { JOB_ID_PATTERN, NAME_PATTERN } from './blob-names.ts';
import { poisonMessage } from './messages.ts';
import { parseJson } from './parse-json.ts';

/** All requests are under this name. */
export const REDRIVE_PREFIX = 'redrive/';

const redriveRequest = z.object({
  version: z.literal(1),
  poisonId: z.string().regex(NAME_PATTERN),
  /** The frames of one failure: as many as a batch has at most. */
  frames: poisonMessage.shape.batch.unwrap().shape.frames,
  requestedAt: z.iso.datetime(),
});
export type RedriveRequest = z.infer<typeof redriveRequest>;

export function encodeRedriveRequest(request: RedriveRequest): string {
  return JSON.stringify(request);
}

/** Undefined for what is none. */
export function decodeRedriveRequest(text: string): RedriveRequest | undefined {
  const parsed = redriveRequest.safeParse(parseJson(text));
  return parsed.success ? parsed.data : undefined;
}

/** The job of a request by its name, or undefined for every other name. */
export function jobIdOfRedrive(blobName: string): string | undefined {
  const [folder, jobId = '', poisonId = '', ...rest] = blobName.split('/');
  const isRequest = folder === 'redrive' && rest.length === 0 && NAME_PATTERN.test(poisonId);
  return isRequest && JOB_ID_PATTERN.test(jobId) ? jobId : undefined;
}
