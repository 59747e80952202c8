/**
 * The errors that users and other programs see, with their exit statuses.
 *
 * Every error has a code from this closed set. Code branches on the code or the class, never on the message.
 * The message says what failed and why; the hint says what to do next.
 */

/** Exit statuses, as in sysexits(3) where it defines one. `docs/errors.md` lists them; a test compares the two. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 64,
  badInput: 65,
  noInput: 66,
  unavailable: 69,
  internal: 70,
  cannotCreate: 73,
  noPermission: 77,
  interrupted: 130,
} as const;

export const ERROR_EXITS = {
  USAGE: EXIT.usage,
  CONFIG_INVALID: EXIT.usage,
  SOURCE_MISSING: EXIT.noInput,
  SOURCE_UNREADABLE: EXIT.noInput,
  SOURCE_EMPTY: EXIT.badInput,
  SOURCE_NOT_VIDEO: EXIT.badInput,
  SOURCE_NOT_IMAGE: EXIT.badInput,
  SOURCE_NO_PICTURE: EXIT.badInput,
  SOURCE_TOO_LARGE: EXIT.badInput,
  SOURCE_TRUNCATED: EXIT.badInput,
  SOURCE_CHANGED: EXIT.badInput,
  MODEL_UNKNOWN: EXIT.badInput,
  MODEL_INVALID: EXIT.badInput,
  STYLE_UNKNOWN: EXIT.badInput,
  PICTURE_INVALID: EXIT.badInput,
  TRAINING_FAILED: EXIT.internal,
  JOB_INVALID: EXIT.badInput,
  JOB_UNKNOWN: EXIT.noInput,
  JOB_CANCELLED: EXIT.failed,
  JOB_ENDED: EXIT.failed,
  JOB_NOT_FINISHED: EXIT.unavailable,
  POISON_NOT_FOUND: EXIT.noInput,
  SHARE_UNKNOWN: EXIT.noInput,
  SHARE_NOT_EMPTY: EXIT.failed,
  TOO_MANY_FAILED_FRAMES: EXIT.failed,
  STORAGE_UNAVAILABLE: EXIT.unavailable,
  REDIS_UNAVAILABLE: EXIT.unavailable,
  PROGRAM_MISSING: EXIT.unavailable,
  FLEET_NOT_FOUND: EXIT.unavailable,
  NOT_READY: EXIT.unavailable,
  STACK_FAILED: EXIT.unavailable,
  STACK_ALREADY_RUNNING: EXIT.unavailable,
  SCALER_UNREACHABLE: EXIT.unavailable,
  TOKEN_REFUSED: EXIT.noPermission,
  TOKEN_NOT_SET: EXIT.unavailable,
  SIGN_IN_REQUIRED: EXIT.noPermission,
  REQUEST_FORBIDDEN: EXIT.noPermission,
  UPLOAD_UNKNOWN: EXIT.noInput,
  TOO_MANY_REQUESTS: EXIT.unavailable,
  REQUEST_INVALID: EXIT.usage,
  ROUTE_UNKNOWN: EXIT.usage,
  OUTPUT_NOT_WRITABLE: EXIT.cannotCreate,
  INTERRUPTED: EXIT.interrupted,
  MEDIA_TOOL_FAILED: EXIT.internal,
  ENGINE_FAILED: EXIT.internal,
  INTERNAL: EXIT.internal,
} as const;

export type ErrorCode = keyof typeof ERROR_EXITS;

/** The code that another program reported. A newer release may have codes that this one does not know: they are INTERNAL here. */
export function errorCodeFrom(reported: string): ErrorCode {
  return Object.hasOwn(ERROR_EXITS, reported) ? (reported as ErrorCode) : 'INTERNAL';
}

interface FleetErrorOptions {
  /** What to do next, as a full sentence. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** Where the result is, if it could not be written where it should go: a path, or `results/<blob>`. */
  readonly kept?: string;
}

/** The base of all expected errors. Throw one of the two classes below. */
export abstract class FleetError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly kept: string | undefined;

  constructor(code: ErrorCode, message: string, { hint, cause, kept }: FleetErrorOptions = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.hint = hint;
    this.kept = kept;
  }
}

/** A retry cannot succeed. */
export class PermanentError extends FleetError {}

/** A retry, later or elsewhere, may succeed. */
export class TransientError extends FleetError {}

/** The exit status for any thrown value. */
export function exitStatusOf(error: unknown): number {
  return error instanceof FleetError ? ERROR_EXITS[error.code] : EXIT.internal;
}

/** The most causes that a description includes: a chain of causes may be circular. */
const CAUSES_MAX = 5;

/** The error and its causes in one line, without a stack trace. */
export function describeError(error: unknown, causesLeft = CAUSES_MAX): string {
  if (!(error instanceof Error)) return String(error);
  const inner: unknown = error.cause ?? (error instanceof AggregateError ? error.errors[0] : undefined);
  const cause = inner === undefined || causesLeft === 0 ? '' : describeError(inner, causesLeft - 1);
  const message = error.message === '' ? error.name : error.message;
  return cause === '' ? message : `${message} (because: ${cause})`;
}

/** An errno code such as `ENOENT`; undefined if the error has none. */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
