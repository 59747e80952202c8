/** A failed job as a command's own error. PURE. */
import type { JobStatus } from '../../shared/contract/job.ts';
import { PermanentError, errorCodeFrom } from '../../shared/runtime/errors.ts';

export function jobFailure({ error }: JobStatus): PermanentError {
  return new PermanentError(
    errorCodeFrom(error?.code ?? 'INTERNAL'),
    error?.message ?? 'The job failed.',
    typeof error?.hint === 'string' ? { hint: error.hint } : {},
  );
}
