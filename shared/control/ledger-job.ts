/** What the ledger says of a job and its frames, and how it stands in Redis. PURE. */
import { z } from 'zod';

import { JOB_STATES, jobRequest } from '../contract/job.ts';
import { failureKind, type FailureKind, firstIssue, modelReference } from '../contract/messages.ts';
import { parseJson } from '../contract/parse-json.ts';
import type { FrameRange } from '../contract/ranges.ts';

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

export const jobFields = z.object({
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
  error: fromJson(jobError).optional(),
  result: fromJson(jobResult).optional(),
});

export type LedgerJob = z.infer<typeof jobFields> & {
  readonly jobId: string;
  readonly batchesOutstanding: number;
  readonly batchesToSendAgain: number;
  readonly warnings: readonly string[];
};

/** A job whose record in Redis makes no sense. Nothing can be done with it but to end it. */
export interface UnreadableJob {
  readonly jobId: string;
  readonly reason: string;
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
