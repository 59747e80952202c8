/** The job that a command names on its command line, and the errors if it does not exist or has ended. PURE. */
import { InvalidArgumentError } from 'commander';

import { JOB_ID_PATTERN } from '../../shared/contract/blob-names.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';

export const JOB_EXAMPLE = '20261123-061502-harbour-9f3a1c';

export function parseJobId(text: string): string {
  if (JOB_ID_PATTERN.test(text)) return text;
  throw new InvalidArgumentError(`Expected a job id such as ${JOB_EXAMPLE}.`);
}

/** The error for a job that has ended, and so can no longer be changed. */
export function jobEnded(
  { jobId, state }: { readonly jobId: string; readonly state: string },
  action: string,
  hint: string,
): PermanentError {
  return new PermanentError('JOB_ENDED', `Cannot ${action}: the job ${jobId} has ended (${state}).`, {
    hint,
  });
}

/** `action` is what the command was about to do: `set the cap`. */
export function jobUnknown(jobId: string, action: string): PermanentError {
  return new PermanentError('JOB_UNKNOWN', `Cannot ${action}: there is no job ${jobId}.`, {
    hint: 'Check the job id, which `npm run enqueue` printed, and that FRAMEFLEET_MEDIA_STORAGE names the account that the video was uploaded to.',
  });
}
