/**
 * The messages on the queues: batches to the workers, results back, and entries on the poison queue. PURE.
 *
 * Messages are JSON in base64, versioned, and validated when they are received. A malformed message is poison; a message with a
 * newer version is left for a newer worker.
 */
import { z } from 'zod';

import { JOB_ID_PATTERN, NAME_PATTERN } from './blob-names.ts';
import { FAILED_FRAME_POLICIES, IMAGE_FORMATS, encoding, pictureFormat } from './encoding.ts';
import {
  BATCH_FRAMES_MAX,
  BATCH_HISTORY_FAILURES_MAX,
  CONTEXT_FRAMES_MAX,
  ERROR_TEXT_CHARACTERS_MAX,
  FAILURE_REASONS_MAX,
  FRAMES_MAX,
  MESSAGE_JSON_BYTES_MAX,
  SPLITS_MAX,
} from './limits.ts';
import { parseJson } from './parse-json.ts';
import { pieceFormat } from './piece.ts';
import { countOf } from './ranges.ts';

export const MESSAGE_VERSION = 2;

const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const frameIndex = z.int().min(0).max(FRAMES_MAX);
const jobId = z.string().regex(JOB_ID_PATTERN);
const splitNumber = z.int().min(1).max(SPLITS_MAX);
const plainName = z.string().regex(NAME_PATTERN);
const errorText = z.string().max(ERROR_TEXT_CHARACTERS_MAX);
const range = z
  .tuple([frameIndex, frameIndex])
  .readonly()
  .refine(([start, end]) => start < end, { error: 'expected a range with at least one frame' });

/** Bounded by the frames of a batch, so that iterating over them always ends. */
export const batchFrames = z
  .array(range)
  .max(BATCH_FRAMES_MAX)
  .refine((ranges) => countOf(ranges) <= BATCH_FRAMES_MAX, {
    error: `expected at most ${BATCH_FRAMES_MAX} frames`,
  });

/**
 * Why a frame could not be scored.
 *
 * inference  the model failed on it
 * engine     engines or workers died or hung while processing it
 * storage    its batch was given up after storage had failed for a day
 * model      the job's model cannot be fetched, loaded or used
 * source     a still image cannot be read
 */
const FAILURE_KINDS = ['inference', 'engine', 'storage', 'model', 'source'] as const;
export const failureKind = z.enum(FAILURE_KINDS);
export type FailureKind = z.infer<typeof failureKind>;

export const modelReference = z.object({
  name: plainName,
  version: plainName,
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Of the model's second file, for GPUs, if it has one. */
  float16Sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
});
export type ModelReference = z.infer<typeof modelReference>;

/** Values for a model's parameters, by name, as `model.json` describes them. */
export const modelParameters = z.record(plainName, z.string().max(200));
export type ModelParameters = z.infer<typeof modelParameters>;

export const contextFrames = z.int().min(0).max(CONTEXT_FRAMES_MAX);

/** A decoded piece of the largest frames has one. The batch may start and end within a piece. */
const BATCH_PIECES_MAX = BATCH_FRAMES_MAX + CONTEXT_FRAMES_MAX + 1;

/** Bounds `refusedBy`. If two workers refuse a model, the model is at fault. */
const REFUSALS_MAX = 8;

/** The outcome of earlier deliveries of a batch. It travels in the message, so that any worker knows it. */
const batchHistory = z.object({
  /** Deliveries that ended in a release. They do not count as failures: subtract them from `dequeueCount`. */
  releases: count,
  /** Deliveries that this history covers. Later ones are unrecorded: their workers were killed. */
  deliveries: count,
  /** Frames stored or given up when the history was last written. The next delivery compares with it. */
  resolved: count,
  /** Consecutive deliveries without progress: no further frame was stored or given up. */
  barren: count,
  /** Failures of open frames, grouped by kind, attempts and the last worker. Each frame at most once. */
  failures: z
    .array(z.object({ kind: failureKind, attempts: count, worker: plainName, frames: batchFrames.min(1) }))
    .max(BATCH_HISTORY_FAILURES_MAX),
  /** The frame that runs alone at the moment. If a later delivery finds it here, the previous worker died of it. */
  carefulFrame: frameIndex.nullable(),
  /** Workers that could not load the model, while it was not known to be the model's fault. */
  refusedBy: z.array(plainName).max(REFUSALS_MAX).default([]),
  /** The worker that passed the batch on so that another may try: it failed frames of every open segment, or could not decode a piece. */
  passedOnBy: plainName.nullable(),
});

export const batchMessage = z
  .object({
    version: z.literal(MESSAGE_VERSION),
    jobId,
    batchIndex: count,
    /** Half-open: frames `frameStart` to `frameEnd - 1`. */
    frameStart: frameIndex,
    frameEnd: frameIndex,
    /** When the job's index was last built, as Unix time in ms. A result of an older epoch still counts. */
    epoch: count,
    model: modelReference,
    parameters: modelParameters,
    splitNumber,
    /** Those that hold the frames and their context, in order. The last piece of a decoded source may end sooner. */
    pieces: z.array(range).min(1).max(BATCH_PIECES_MAX),
    pieceFormat,
    /** Frames that are encoded and stored as one. The last segment of a batch may have fewer. */
    segmentFrames: z.int().min(1).max(BATCH_FRAMES_MAX),
    /** Set if the model has a state: how many frames before the batch it sees first, if there are so many. */
    contextFrames: contextFrames.optional(),
    picture: pictureFormat,
    encoding,
    onFailedFrame: z.enum(FAILED_FRAME_POLICIES),
    /** Also stores each scored frame as an image. */
    frameImages: z.enum(IMAGE_FORMATS).nullable(),
    /** The model returns numbers, which are drawn into the frames. */
    draw: z.boolean().optional(),
    history: batchHistory,
  })
  .refine(({ frameStart, frameEnd }) => frameStart < frameEnd && frameEnd - frameStart <= BATCH_FRAMES_MAX, {
    error: `expected 1 to ${BATCH_FRAMES_MAX} frames`,
  });
export type BatchMessage = z.infer<typeof batchMessage>;

export const NEW_BATCH_HISTORY: BatchMessage['history'] = {
  releases: 0,
  deliveries: 0,
  resolved: 0,
  barren: 0,
  failures: [],
  carefulFrame: null,
  refusedBy: [],
  passedOnBy: null,
};

/** The history after a delivery that did not start: it counts as a release, and earlier deliveries that are not recorded stay so. */
export function releasedUnstarted(history: BatchMessage['history']): BatchMessage['history'] {
  return { ...history, releases: history.releases + 1, deliveries: history.deliveries + 1 };
}

export const STAGES = ['fetch', 'decode', 'infer', 'encode', 'store'] as const;
export type Stage = (typeof STAGES)[number];
export type StageSeconds = Record<Stage, number>;

const seconds = z.number().min(0);

export const resultMessage = z.object({
  version: z.literal(MESSAGE_VERSION),
  jobId,
  batchIndex: count,
  epoch: count,
  splitNumber,
  worker: plainName,
  /** Frames that are scored and whose segment is stored, by any worker. */
  scored: batchFrames,
  /** Frames that are given up, grouped by reason. Their segments show replacements. */
  failed: z
    .array(z.object({ kind: failureKind, message: errorText, frames: batchFrames.min(1) }))
    .max(FAILURE_REASONS_MAX),
  /** Frames that this delivery has scored and whose segments are not stored yet: for progress. 0 when the delivery ends. */
  underway: count,
  /** Frames that this delivery scored and stored itself, for rates. 0 if it only found stored segments. */
  framesRun: count,
  megapixels: z.number().min(0),
  /** Of the delivery, without the time that overlaps with the worker's delivery before. */
  wallSeconds: seconds,
  /** Set if a piece does not hold the frames that the plan says: what was found instead. The batch is then not completed. */
  mismatch: errorText.optional(),
  /** Set if the batch was released with a delay: its message is hidden for this time. */
  delaySeconds: z.number().min(0).max(3600).optional(),
  /** Seconds spent in each stage, summed over frames. */
  stageSeconds: z.object({
    fetch: seconds,
    decode: seconds,
    infer: seconds,
    encode: seconds,
    store: seconds,
  }),
});
export type ResultMessage = z.infer<typeof resultMessage>;

/** Why an entry is on the poison queue: a failure of frames, or of a message. */
export const POISON_REASONS = [...FAILURE_KINDS, 'malformed', 'too-new'] as const;
const poisonReason = z.enum(POISON_REASONS);
export type PoisonReason = z.infer<typeof poisonReason>;

/**
 * An entry on the poison queue, with everything needed to understand the failure and to redrive it. There is one for each reason
 * that frames of a delivery are given up, and one for a message that no worker can process.
 */
export const poisonMessage = z.object({
  version: z.literal(MESSAGE_VERSION),
  /** `<message id>-<reason>-<first frame>`, or without a frame. A second entry with the same id is the same failure. */
  id: plainName,
  reason: poisonReason,
  /** The first frame's error, or what is wrong with the message. */
  message: errorText,
  /** Null for a message that is not a batch. */
  batch: z.object({ jobId, batchIndex: count, model: modelReference, frames: batchFrames.min(1) }).nullable(),
  /** The highest number of attempts among the frames. */
  attempts: count,
  dequeueCount: count,
  worker: plainName,
  insertedAt: z.iso.datetime(),
  poisonedAt: z.iso.datetime(),
  /** The original message body. Null if it is too large; it is then in `logs` under `poisonBodyBlob(id)`. */
  body: z.string().nullable(),
});
export type PoisonMessage = z.infer<typeof poisonMessage>;

export type Decoded<T> =
  | { readonly kind: 'valid'; readonly message: T }
  | { readonly kind: 'newer'; readonly version: number }
  | { readonly kind: 'malformed'; readonly reason: string };

/** Base64 of JSON. Throws RangeError if it does not fit on the queue, which the limits should make impossible. */
export function encodeMessage(message: BatchMessage | ResultMessage | PoisonMessage): string {
  const json = JSON.stringify(message);
  const bytes = Buffer.byteLength(json);
  if (bytes > MESSAGE_JSON_BYTES_MAX) {
    throw new RangeError(`expected a message of at most ${MESSAGE_JSON_BYTES_MAX} bytes, received ${bytes}`);
  }
  return Buffer.from(json).toString('base64');
}

/** Never throws. */
export function decodeMessage<T>(text: string, schema: z.ZodType<T>): Decoded<T> {
  const json = parseJson(Buffer.from(text, 'base64').toString('utf8'));
  if (json === undefined) return { kind: 'malformed', reason: 'not base64-encoded JSON' };
  const parsed = schema.safeParse(json);
  if (parsed.success) return { kind: 'valid', message: parsed.data };
  const { version } = z.object({ version: z.int() }).catch({ version: 0 }).parse(json);
  if (version > MESSAGE_VERSION) return { kind: 'newer', version };
  return { kind: 'malformed', reason: cutText(firstIssue(parsed.error)) };
}

/** Fits an error text into a message: one line, cut at the limit. */
export function cutText(text: string): string {
  const flat = text.replace(/\s+/g, ' ').trim();
  if (flat.length <= ERROR_TEXT_CHARACTERS_MAX) return flat;
  return `${flat.slice(0, ERROR_TEXT_CHARACTERS_MAX - 1)}…`;
}

/** The first issue that zod found, as `path: message`. */
export function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return 'invalid';
  const path = issue.path.map(String).join('.');
  return path === '' ? issue.message : `${path}: ${issue.message}`;
}
