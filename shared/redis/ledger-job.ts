/** The ledger's types, and the parsing of a job's record in Redis. PURE. */
import { z } from 'zod';

import type { FailedFrame } from '../contract/failed-frame.ts';
import { JOB_STATES, PRIORITIES, type Priority, jobRequest, spendingAmount } from '../contract/job.ts';
import { FRAMES_MAX, SPLITS_MAX } from '../contract/limits.ts';
import { contextFrames, failureKind, firstIssue, modelReference } from '../contract/messages.ts';
import { parseJson } from '../contract/parse-json.ts';
import type { FrameRange } from '../contract/ranges.ts';
import { PermanentError } from '../runtime/errors.ts';

/** Stored in place of an amount for a job without a cap. */
export const NO_CAP = 'none';

/** The request, with the model resolved. Never changes. */
const jobDefinition = z.object({
  request: jobRequest,
  model: modelReference,
  /** Set if the model has a state. */
  contextFrames: contextFrames.optional(),
  /** What the model returns for a frame. */
  result: z.enum(['pictures', 'numbers', 'drawn']).default('pictures'),
  /** When the job was opened in the ledger, as Unix time in ms. Distinguishes it from the same job opened again. */
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
  /** A source is split again if its pieces turn out to be wrong. */
  splitNumber: z.coerce.number().int().min(1).max(SPLITS_MAX),
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
  /** Set after the job was opened; replaces the cap of the request. `none` removes the cap. */
  spendingMax: z.union([z.literal(NO_CAP), z.coerce.number().pipe(spendingAmount)]).optional(),
  /** Set after the job was opened; replaces the priority of the request. */
  priority: z.enum(PRIORITIES).optional(),
  /** When the job was paused; 0 if it is not. */
  pausedAtMs: z.coerce.number().default(0),
  /** How often it has been paused. */
  pauses: counter,
  error: fromJson(jobError).optional(),
  result: fromJson(jobResult).optional(),
});

export type LedgerJob = z.infer<typeof jobFields> & {
  readonly jobId: string;
  readonly batchesOutstanding: number;
  readonly batchesToSendAgain: number;
  /** Frames that workers have scored and not stored yet. May be too many after a worker was killed. */
  readonly framesUnderway: number;
  /** When batches that were released with a delay become visible again. Some may be in the past, or done. */
  readonly delayedUntilMs: readonly number[];
  readonly warnings: readonly string[];
};

/** A job whose record in Redis cannot be parsed. It can only be ended. */
export interface UnreadableJob {
  readonly jobId: string;
  readonly reason: string;
}

/** Parses Redis' replies: fields, batches dispatched, batches to send again, warnings, delays, frames underway. Undefined if there is no job. */
export function parseRecord(
  jobId: string,
  replies: readonly (readonly [Error | null, unknown])[],
): LedgerJob | UnreadableJob | undefined {
  // A key has another type. A failed connection would have thrown before.
  const failure = replies.find(([error]) => error !== null)?.[0];
  if (failure) return { jobId, reason: failure.message };
  const [fields, outstanding, again, warnings, delayed, underway] = replies.map(([, value]) => value);
  // Late updates of a forgotten job may leave keys without a definition: they are not a job.
  if (fields === undefined || !('definition' in (fields as object))) return undefined;
  const parsed = jobFields.safeParse(fields);
  if (!parsed.success) return { jobId, reason: firstIssue(parsed.error) };
  return {
    jobId,
    ...parsed.data,
    batchesOutstanding: outstanding as number,
    batchesToSendAgain: again as number,
    warnings: warnings as string[],
    framesUnderway: (underway as string[]).reduce((sum, count) => sum + Number(count), 0),
    // Members and scores alternate.
    delayedUntilMs: (delayed as string[]).filter((_, index) => index % 2 === 1).map(Number),
  };
}

/** The error with which such a job is ended. */
export function unreadableJobError({ jobId, reason }: UnreadableJob): PermanentError {
  return new PermanentError('JOB_INVALID', `Cannot read the record of job ${jobId}: ${reason}.`, {
    hint: 'Enqueue the video again. If this happens again, save the log of the producer and report the problem.',
  });
}

/** Returns the count, or throws RangeError if it is not a number of frames: it would make the record unreadable. */
export function checkedFrameCount(count: number): number {
  if (Number.isInteger(count) && count >= 0 && count <= FRAMES_MAX) return count;
  throw new RangeError(`expected a number of frames up to ${FRAMES_MAX}, received ${count}`);
}

/** The cap on the job's cost, in the currency of the scaler's prices. Null: no cap. */
export function spendingMaxOf({
  spendingMax,
  definition,
}: Pick<LedgerJob, 'spendingMax' | 'definition'>): number | null {
  if (spendingMax === undefined) return definition.request.spendingMax ?? null;
  return spendingMax === NO_CAP ? null : spendingMax;
}

export function priorityOf({ priority, definition }: Pick<LedgerJob, 'priority' | 'definition'>): Priority {
  return priority ?? definition.request.priority;
}

export function isPaused({ pausedAtMs }: Pick<LedgerJob, 'pausedAtMs'>): boolean {
  return pausedAtMs > 0;
}

/** The outcomes of frames, as result messages report them. */
export interface FrameOutcomes {
  readonly scored: readonly FrameRange[];
  readonly failed: readonly (FailureReason & { readonly frames: readonly FrameRange[] })[];
}

export interface SplitPlan {
  readonly batchSize: number;
  readonly framesExpected: number;
  readonly megapixelsPerFrame: number;
}

export interface BatchOutcome extends FrameOutcomes {
  /** Frames that the batch's delivery has scored and not stored yet. */
  readonly underway?: number;
  /** Null if the outcomes are not from a batch. */
  readonly batchIndex: number | null;
  readonly nowMs: number;
}

/** Half-open: frames `frameStart` to `frameEnd - 1`. */
export interface ClaimedBatch {
  readonly batchIndex: number;
  readonly frameStart: number;
  readonly frameEnd: number;
}

/** What an operator wants of an open job. */
export interface LedgerControl {
  /** 0: the job is not paused. */
  readonly pausedAtMs: number;
  readonly pauses: number;
  readonly priority: Priority;
  /** Null: no cap. */
  readonly spendingMax: number | null;
}

/** What a result changed in the ledger. */
export interface ResolvedCounts {
  readonly newlyScored: number;
  /** How many of them had been recorded as failed before. */
  readonly corrected: number;
  readonly newlyFailed: number;
  /** In the order of the result's groups of failures. */
  readonly newlyFailedByGroup: readonly number[];
}

/** Why a frame failed, without the frame: many frames may share it. */
export type FailureReason = Pick<FailedFrame, 'kind' | 'message'>;
export const failureReason = z.object({ kind: failureKind, message: z.string() });
