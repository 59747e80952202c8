/** Prints an error for a person at a terminal: what happened and why, what to do next, and where its code is explained. */
import { FleetError, describeError } from './errors.ts';
import { quoteCommands } from './quote-commands.ts';

export interface Complaint {
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
  /** Where the result is, if it could not be written where it should go. */
  readonly kept?: string;
}

export function complaintOf(error: unknown): Complaint {
  if (!(error instanceof FleetError)) return { code: 'INTERNAL', message: describeError(error), hint: null };
  const { code, message, hint, kept } = error;
  return {
    code,
    message: quoteCommands(message),
    hint: hint === undefined ? null : quoteCommands(hint),
    ...(kept === undefined ? {} : { kept }),
  };
}

/** Prints the error on standard error. An unexpected error is a bug: its stack trace is printed too. */
export function complain(error: unknown): void {
  const { code, message, hint } = complaintOf(error);
  process.stderr.write(`\n${message}\n`);
  if (hint !== null) process.stderr.write(`${hint}\n`);
  // The hint of a usage error already names the help.
  if (code !== 'USAGE') process.stderr.write(`More about this error: docs/errors.md#${code.toLowerCase()}\n`);
  if (!(error instanceof FleetError) && error instanceof Error)
    process.stderr.write(`${error.stack ?? ''}\n`);
}
