/** The status and code of an error from Azure Resource Manager's SDKs. PURE. */

export interface RestFailure {
  /** Null without a response, or with a response that could not be read. */
  readonly status: number | null;
  /** Azure's code, such as `AuthorizationFailed`, or the system's, such as `ECONNREFUSED`. */
  readonly code: string | null;
}

export function restFailure(error: unknown): RestFailure {
  if (typeof error !== 'object' || error === null) return { status: null, code: null };
  const { code, statusCode } = error as { code?: unknown; statusCode?: unknown };
  return {
    // A response with status 200 that could not be read counts as no response.
    status: typeof statusCode === 'number' && statusCode >= 400 ? statusCode : null,
    code: typeof code === 'string' ? code : null,
  };
}
