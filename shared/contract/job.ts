/**
 * A job as three documents in storage: the request (`job.json`), the status (`status.json`) and the report (`report.json`).
 * Also its states, its id, and the limit on failed frames. PURE.
 */
import { z } from 'zod';

import { JOB_ID_PATTERN, NAME_PATTERN } from './blob-names.ts';
import { FAILED_FRAME_POLICIES, IMAGE_FORMATS, RESULT_CONTAINERS, encoding } from './encoding.ts';
import { jobActual } from './job-actual.ts';
import { BATCH_FRAMES_MAX, FAILED_FRAMES_FRACTION_MAX, FRAMES_MAX } from './limits.ts';
import { failureKind, modelParameters } from './messages.ts';

export const PRIORITIES = ['low', 'normal', 'high'] as const;
export type Priority = (typeof PRIORITIES)[number];

/** How many frames may fail before the job fails: a number or a percentage. */
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
    /** The original file name. The blob name contains `safeSourceName` of it. */
    name: z
      .string()
      .min(1)
      .max(1024)
      .refine((name) => name.isWellFormed(), { error: 'expected well-formed text' }),
    sizeBytes: z.int().min(1),
    etag: z.string().min(1),
    /** The source is a list of still images, not a video. */
    kind: z.literal('images').optional(),
  }),
  model: z.object({
    name: z.string().regex(NAME_PATTERN),
    version: z.string().regex(NAME_PATTERN).optional(),
  }),
  parameters: modelParameters,
  batchSize: z.int().min(1).max(BATCH_FRAMES_MAX).optional(),
  priority: z.enum(PRIORITIES),
  onFailedFrame: z.enum(FAILED_FRAME_POLICIES),
  /** Default: DEFAULT_ENCODING. */
  encoding: encoding.optional(),
  /** Also publishes each scored frame as an image. */
  frameImages: z.enum(IMAGE_FORMATS).optional(),
  /** Draws the numbers that the model returns into the video. */
  draw: z.literal(true).optional(),
  /** Of the result. By default like that of the source. */
  container: z.enum(RESULT_CONTAINERS).optional(),
  /** By default a twentieth of the frames, but at least one, and never all. */
  failedFramesMax: failedFramesMax.optional(),
  /** The cap on the job's cost. When it is reached, no more batches are sent to the fleet until `npm run cap` raises it. */
  spendingMax: spendingAmount.optional(),
  /** When the job should be done. If this is at risk, on-demand instances are preferred over spot instances. */
  deadlineAt: z.iso.datetime().optional(),
  createdAt: z.iso.datetime(),
});
export type JobRequest = z.infer<typeof jobRequest>;

/** The settings of a job, without the video. */
export const jobSettings = jobRequest.pick({
  model: true,
  parameters: true,
  batchSize: true,
  priority: true,
  onFailedFrame: true,
  encoding: true,
  frameImages: true,
  draw: true,
  container: true,
  failedFramesMax: true,
  spendingMax: true,
});
export type JobSettings = z.infer<typeof jobSettings>;

/** For a video that arrives without settings. */
export const DEFAULT_SETTINGS: JobSettings = {
  model: { name: DEFAULT_MODEL },
  parameters: {},
  priority: 'normal',
  onFailedFrame: 'keep-original',
};

/**
 * waiting    the trigger was found; no work has started
 * running    frames are being split, scored or stitched
 * completed  terminal: the result is published
 * failed     terminal: there will be no result
 * cancelled  terminal: an operator ended it
 *
 * A job whose failures are retried does not leave its terminal state: it is opened again, and waits.
 */
export const JOB_STATES = ['waiting', 'running', 'completed', 'failed', 'cancelled'] as const;
export type JobState = (typeof JOB_STATES)[number];

const JOB_MOVES: Readonly<Record<JobState, readonly JobState[]>> = {
  waiting: ['running', 'failed', 'cancelled'],
  running: ['completed', 'failed', 'cancelled'],
  completed: [],
  failed: [],
  cancelled: [],
};

/** Whether a job may move from one state to another. The ledger enforces it. */
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
    /** According to the container's header, until the split has counted the frames. */
    expected: count,
    split: count,
    scored: count,
    failed: count,
    /** Scored, but not stored yet. */
    underway: count.default(0),
    stitched: count,
  }),
  /**
   * How fast it is, and when it will be done, as of `updatedAt`. Null while that is not known: before the first frames are scored, while no worker
   * has a batch of it, and of a job that is paused or has ended.
   */
  pace: z
    .object({ framesPerSecond: z.number().min(0), secondsLeft: z.number().min(0) })
    .nullable()
    .default(null),
  /** When the first frame was stored. */
  scoringSince: z.iso.datetime().nullable(),
  updatedAt: z.iso.datetime(),
  warnings: z.array(z.string()),
  /** Set while the job is held because it has reached its spending cap. The message includes the next step. */
  heldAtCap: z
    .object({ spent: z.number().min(0), spendingMax: spendingAmount, message: z.string() })
    .nullable()
    .default(null),
  /** Set while the job is paused. */
  pausedSince: z.iso.datetime().nullable().default(null),
  /** What the job has cost so far, in the currency of the scaler's prices; 0 without prices. */
  spent: z.number().min(0).default(0),
  result: z.object({ blobName: z.string(), sizeBytes: count }).nullable(),
  error: z.object({ code: z.string(), message: z.string(), hint: z.string().nullable() }).nullable(),
});
export type JobStatus = z.infer<typeof jobStatus>;

export const jobReport = z.object({
  version: z.literal(1),
  jobId: z.string(),
  source: jobRequest.shape.source,
  model: z.object({
    name: z.string(),
    version: z.string(),
    sha256: z.string(),
    /** Of the file that workers with GPUs may have run. */
    float16Sha256: z.string().optional(),
  }),
  parameters: modelParameters,
  frameCount: count,
  /** The frames that could not be scored, with the reasons. */
  failedFrames: z.array(z.object({ frameIndex: count, kind: failureKind, message: z.string() })),
  warnings: z.array(z.string()),
  /** Null if the job failed and has no result. */
  resultSha256: z.string().nullable(),
  /** The mean change of still pixels from frame to frame, in grey levels. Null if the result is no video, or nothing in it stands still. */
  flicker: z.number().min(0).nullable().default(null),
  /** Null in a report of an earlier release. */
  actual: jobActual.nullable().default(null),
  createdAt: z.iso.datetime(),
  completedAt: z.iso.datetime(),
});
export type JobReport = z.infer<typeof jobReport>;

/** Sortable by time, readable, and unique: `20261123-061502-harbour-9f3a1c`. `random`: six random hex digits. */
export function newJobId(sourceName: string, now: Date, random: string): string {
  const time = now.toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  const stem = sourceName.replace(/\.[^.]*$/, '').toLowerCase();
  const slug =
    stem
      .replace(/[^a-z0-9]+/g, '-')
      .slice(0, 24)
      .replace(/^-+|-+$/g, '') || 'video';
  return `${time}-${slug}-${random}`;
}

interface FailedFrameCounts {
  readonly failed: number;
  readonly frameCount: number;
  /** The limit in the job's request, if any. */
  readonly max?: FailedFramesMax | undefined;
}

/** Whether more frames have failed than the job allows. */
export function hasTooManyFailed({ failed, frameCount, max }: FailedFrameCounts): boolean {
  if (failed === 0) return false;
  if (max !== undefined) {
    return 'frames' in max ? failed > max.frames : failed * 100 > frameCount * max.percent;
  }
  return failed >= frameCount || failed > Math.max(1, frameCount * FAILED_FRAMES_FRACTION_MAX);
}
