/** The errors for a job that does not exist, or has ended. PURE. */
import { PermanentError } from '../../shared/runtime/errors.ts';

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
