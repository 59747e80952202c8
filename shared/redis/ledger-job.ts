/** What the ledger says of a job and its frames, and how it stands in Redis. PURE. */
import { z } from 'zod';

import { JOB_STATES, jobRequest, spendingAmount } from '../contract/job.ts';
import { FRAMES_MAX } from '../contract/limits.ts';
import { failureKind, type FailureKind, firstIssue, modelReference } from '../contract/messages.ts';
import { parseJson } from '../contract/parse-json.ts';
import type { FrameRange } from '../contract/ranges.ts';
import { PermanentError } from '../runtime/errors.ts';

/** In place of an amount. */
export const NO_CAP = 'none';

/** What was asked, with the model resolved: never changes. */
const jobDefinition = z.object({
  request: jobRequest,
  model: modelReference,
  /** When this index was built, Unix time in ms. */
  epoch: z.int(),
});
export type JobDefinition = z.infer<typeof jobDefinition>;

const jobError = z.object({ code: z.string(), message: z.string(), hint: z.string().nullable() });
export type JobError = z.infer<typeof jobError>;
const jobResult = z.object({ blobName: z.string(), sizeBytes: z.int() });
export type JobResult = z.infer<typeof jobResult>;

const fromJson = <T>(schema: z.ZodType<T>) =>
  z.string().transform((text, context) => {
    const parsed = schema.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    context.addIssue({ code: 'custom', message: firstIssue(parsed.error) });
    return z.NEVER;
  });
const counter = z.coerce.number().int().default(0);

const jobFields = z.object({
  definition: fromJson(jobDefinition),
  state: z.enum(JOB_STATES),
  framesExpected: counter,
  framesSplit: counter,
  splitFinished: z
    .literal('1')
    .optional()
    .transform((flag) => flag === '1'),
  batchSize: z.coerce.number().int().optional(),
  megapixelsPerFrame: z.coerce.number().default(0),
  nextBatch: counter,
  framesScored: counter,
  framesFailed: counter,
  framesStitched: counter,
  scoringSinceMs: z.coerce.number().optional(),
  lastDispatchedAt: counter,
  /** Set after the job was opened, in place of the request's; `none` lifts it. */
  spendingMax: z.union([z.literal(NO_CAP), z.coerce.number().pipe(spendingAmount)]).optional(),
  error: fromJson(jobError).optional(),
  result: fromJson(jobResult).optional(),
});

export type LedgerJob = z.infer<typeof jobFields> & {
  readonly jobId: string;
  readonly batchesOutstanding: number;
  readonly batchesToSendAgain: number;
  /** When batches that were released with a delay are visible again; some of them may be past, or done. */
  readonly delayedUntilMs: readonly number[];
  readonly warnings: readonly string[];
};

/** A job whose record in Redis makes no sense. Nothing can be done with it but to end it. */
export interface UnreadableJob {
  readonly jobId: string;
  readonly reason: string;
}

/** A job from what Redis answered: its fields, batches dispatched and to send again, warnings, delays. Undefined where there is none. */
export function readRecord(
  jobId: string,
  answers: readonly (readonly [Error | null, unknown])[],
): LedgerJob | UnreadableJob | undefined {
  // A key of another type. A connection that fails has thrown before.
  const failure = answers.find(([error]) => error !== null)?.[0];
  if (failure) return { jobId, reason: failure.message };
  const [fields, outstanding, again, warnings, delayed] = answers.map(([, value]) => value);
  // Late words about a job that was forgotten are no job.
  if (fields === undefined || !('definition' in (fields as object))) return undefined;
  const parsed = jobFields.safeParse(fields);
  if (!parsed.success) return { jobId, reason: firstIssue(parsed.error) };
  return {
    jobId,
    ...parsed.data,
    batchesOutstanding: outstanding as number,
    batchesToSendAgain: again as number,
    warnings: warnings as string[],
    // Members and scores in turn.
    delayedUntilMs: (delayed as string[]).filter((_, index) => index % 2 === 1).map(Number),
  };
}

/** The error that ends such a job. */
export function unreadable({ jobId, reason }: UnreadableJob): PermanentError {
  return new PermanentError('JOB_INVALID', `The record of the job ${jobId} cannot be read: ${reason}.`, {
    hint: 'Enqueue the video again. If it happens again, keep the log of the producer and report it.',
  });
}

/** A number of frames as the ledger keeps it. Throws RangeError for what cannot be one: it would make the record unreadable. */
export function frameCount(count: number): number {
  if (Number.isInteger(count) && count >= 0 && count <= FRAMES_MAX) return count;
  throw new RangeError(`expected a number of frames up to ${FRAMES_MAX}, received ${count}`);
}

/** What the job may cost, in the currency of the scaler's prices. Null: no cap. */
export function spendingMaxOf({
  spendingMax,
  definition,
}: Pick<LedgerJob, 'spendingMax' | 'definition'>): number | null {
  if (spendingMax === undefined) return definition.request.spendingMax ?? null;
  return spendingMax === NO_CAP ? null : spendingMax;
}

/** What became of frames: as result messages tell it. */
export interface FrameOutcomes {
  readonly scored: readonly FrameRange[];
  readonly failed: readonly (FrameFailure & { readonly frames: readonly FrameRange[] })[];
}

/** Half-open: frames `frameStart` to `frameEnd - 1`. */
export interface ClaimedBatch {
  readonly batchIndex: number;
  readonly frameStart: number;
  readonly frameEnd: number;
}

/** What a result changed. */
export interface Resolved {
  readonly newlyScored: number;
  /** How many of them had been given up before. */
  readonly corrected: number;
  readonly newlyFailed: number;
  /** In the order of the result's groups. */
  readonly newlyFailedByGroup: readonly number[];
}

export interface FrameFailure {
  readonly kind: FailureKind;
  readonly message: string;
}
export const frameFailure = z.object({ kind: failureKind, message: z.string() });
