/** Tells a person at a terminal what went wrong: what and why, then what to do next. */
import { FleetError, describeError } from './errors.ts';

export interface Complaint {
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
  /** Only where a result was kept. */
  readonly kept?: string;
}

export function complaintOf(error: unknown): Complaint {
  if (!(error instanceof FleetError)) return { code: 'INTERNAL', message: describeError(error), hint: null };
  const { code, message, hint = null, kept } = error;
  return { code, message, hint, ...(kept === undefined ? {} : { kept }) };
}

/** On standard error. Where the error is none of ours, its stack is the only clue there is. */
export function complain(error: unknown): void {
  const { message, hint } = complaintOf(error);
  process.stderr.write(`\n${message}\n`);
  if (hint !== null) process.stderr.write(`${hint}\n`);
  if (!(error instanceof FleetError) && error instanceof Error)
    process.stderr.write(`${error.stack ?? ''}\n`);
}
