/**
 * A job, as three documents in storage: what was asked (`job.json`), how it stands (`status.json`), and how it went
 * (`report.json`). PURE.
 */

import { z } from 'zod';

import { JOB_ID_PATTERN, NAME_PATTERN } from './blob-names.ts';
import { BATCH_FRAMES_MAX, FAILED_FRAMES_FRACTION_MAX, FRAMES_MAX } from './limits.ts';
import { failureKind, modelParameters } from './messages.ts';

export const PRIORITIES = ['low', 'normal', 'high'] as const;
export type Priority = (typeof PRIORITIES)[number];

/** What a frame that cannot be scored means for the video. */
export const FAILED_FRAME_POLICIES = ['fail', 'keep-original', 'repeat-previous'] as const;
export type FailedFramePolicy = (typeof FAILED_FRAME_POLICIES)[number];

/** How many frames may fail before the job does: so many, or so many of a hundred. */
export const failedFramesMax = z.union([
  z.object({ frames: z.int().min(0).max(FRAMES_MAX) }),
  z.object({ percent: z.number().min(0).max(100) }),
]);
export type FailedFramesMax = z.infer<typeof failedFramesMax>;

export const DEFAULT_MODEL = 'painter';

/** Money, in the currency of the scaler's prices. */
export const spendingAmount = z.number().positive().max(1e9);

export const jobRequest = z.object({
  version: z.literal(1),
  jobId: z.string().regex(JOB_ID_PATTERN),
  source: z.object({
    /** The file's name as its owner wrote it; the blob's is `safeSourceName` of it. */
    name: z
      .string()
      .min(1)
      .max(1024)
      .refine((name) => name.isWellFormed(), { error: 'expected well-formed text' }),
    sizeBytes: z.int().min(1),
    etag: z.string().min(1),
  }),
  model: z.object({
    name: z.string().regex(NAME_PATTERN),
    version: z.string().regex(NAME_PATTERN).optional(),
  }),
  parameters: modelParameters,
  batchSize: z.int().min(1).max(BATCH_FRAMES_MAX).optional(),
  priority: z.enum(PRIORITIES),
  onFailedFrame: z.enum(FAILED_FRAME_POLICIES),
  /** Unless it is said: a twentieth of the frames, but always one, and never all. */
  failedFramesMax: failedFramesMax.optional(),
  /** What it may cost: once it is spent, nothing more of the job is sent to the fleet, until `npm run cap` raises it. */
  spendingMax: spendingAmount.optional(),
  /** When it should be done: where that is at risk, machines that nobody takes away are preferred. */
  deadlineAt: z.iso.datetime().optional(),
  createdAt: z.iso.datetime(),
});
export type JobRequest = z.infer<typeof jobRequest>;

/** What is to be done, whichever video it is done with. */
export const jobSettings = jobRequest.pick({
  model: true,
  parameters: true,
  batchSize: true,
  priority: true,
  onFailedFrame: true,
  failedFramesMax: true,
  spendingMax: true,
});
export type JobSettings = z.infer<typeof jobSettings>;

/** For a video that comes without a word. */
export const DEFAULT_SETTINGS: JobSettings = {
  model: { name: DEFAULT_MODEL },
  parameters: {},
  priority: 'normal',
  onFailedFrame: 'keep-original',
};

/**
 * waiting    the trigger was seen; nothing has been done
 * running    frames are being split, scored or stitched
 * completed  the result is published: terminal
 * failed     it will never be: terminal
 *
 * A job whose failures are tried again does not move on from its end: it is opened anew, and waits.
 */
export const JOB_STATES = ['waiting', 'running', 'completed', 'failed'] as const;
export type JobState = (typeof JOB_STATES)[number];

const JOB_MOVES: Readonly<Record<JobState, readonly JobState[]>> = {
  waiting: ['running', 'failed'],
  running: ['completed', 'failed'],
  completed: [],
  failed: [],
};

/** Whether a job may go from one state to another: the gate that the ledger asks. */
export function mayMove(from: JobState, to: JobState): boolean {
  return JOB_MOVES[from].includes(to);
}

export function isTerminal(state: JobState): boolean {
  return JOB_MOVES[state].length === 0;
}

const count = z.int().min(0);

export const jobStatus = z.object({
  version: z.literal(1),
  jobId: z.string().regex(JOB_ID_PATTERN),
  state: z.enum(JOB_STATES),
  frames: z.object({
    /** From the container's header until the split has counted. */
    expected: count,
    split: count,
    scored: count,
    failed: count,
    stitched: count,
  }),
  /** When the first frame was scored, for rates. */
  scoringSince: z.iso.datetime().nullable(),
  updatedAt: z.iso.datetime(),
  warnings: z.array(z.string()),
  /** The job has spent what it may, and waits for a higher cap; with what to do. Null: it is not held. */
  heldAtCap: z
    .object({ spent: z.number().min(0), spendingMax: spendingAmount, message: z.string() })
    .nullable()
    .default(null),
  result: z.object({ blobName: z.string(), sizeBytes: count }).nullable(),
  error: z.object({ code: z.string(), message: z.string(), hint: z.string().nullable() }).nullable(),
});
export type JobStatus = z.infer<typeof jobStatus>;

export const jobReport = z.object({
  version: z.literal(1),
  jobId: z.string(),
  source: jobRequest.shape.source,
  model: z.object({ name: z.string(), version: z.string(), sha256: z.string() }),
  parameters: modelParameters,
  frameCount: count,
  /** Frames that could not be scored, and why. */
  failedFrames: z.array(z.object({ frameIndex: count, kind: failureKind, message: z.string() })),
  warnings: z.array(z.string()),
  /** Null where there is no result: the job failed. */
  resultSha256: z.string().nullable(),
  createdAt: z.iso.datetime(),
  completedAt: z.iso.datetime(),
});
export type JobReport = z.infer<typeof jobReport>;

/** Sortable by time, readable, and unique by six random hex digits: `20261123-061502-harbour-9f3a1c`. */
export function newJobId({
  sourceName,
  now,
  random,
}: {
  readonly sourceName: string;
  readonly now: Date;
  readonly random: string;
}): string {
  const time = now.toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  const stem = sourceName.replace(/\.[^.]*$/, '').toLowerCase();
  const slug =
    stem
      .replace(/[^a-z0-9]+/g, '-')
      .slice(0, 24)
      .replace(/^-+|-+$/g, '') || 'video';
  return `${time}-${slug}-${random}`;
}

/** Whether so many frames have failed that the video would no longer be what was asked for. */
export function tooManyFailed({
  failed,
  frameCount,
  max,
}: {
  readonly failed: number;
  readonly frameCount: number;
  /** What the job's owner said of it. */
  readonly max?: FailedFramesMax | undefined;
}): boolean {
  if (failed === 0) return false;
  if (max !== undefined) {
    return 'frames' in max ? failed > max.frames : failed * 100 > frameCount * max.percent;
  }
  return failed >= frameCount || failed > Math.max(1, frameCount * FAILED_FRAMES_FRACTION_MAX);
}
