/** What of an error of Azure's SDKs is an answer: told apart by status and code, never by text. PURE. */

export interface RestFailure {
  /** Null where there was no answer, or none that could be read. */
  readonly status: number | null;
  /** Azure's own: `AuthorizationFailed`; or the system's: `ECONNREFUSED`. */
  readonly code: string | null;
}

export function restFailure(error: unknown): RestFailure {
  if (typeof error !== 'object' || error === null) return { status: null, code: null };
  const { code, statusCode } = error as { code?: unknown; statusCode?: unknown };
  return {
    // An answer of 200 that could not be read is no answer.
    status: typeof statusCode === 'number' && statusCode >= 400 ? statusCode : null,
    code: typeof code === 'string' ? code : null,
  };
}
