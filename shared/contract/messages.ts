/**
 * What crosses the queues: batches of frames one way, their results the other. PURE.
 *
 * JSON in base64, versioned, validated at the door. What is malformed is told apart from what is merely newer than this
 * program: the first is poison, the second is left for a newer worker.
 */
import { z } from 'zod';

import { JOB_ID_PATTERN, NAME_PATTERN } from './blob-names.ts';
import {
  BATCH_FRAMES_MAX,
  BATCH_HISTORY_FAILURES_MAX,
  ERROR_TEXT_CHARACTERS_MAX,
  FAILURE_REASONS_MAX,
  FRAMES_MAX,
  MESSAGE_JSON_BYTES_MAX,
} from './limits.ts';
import { parseJson } from './parse-json.ts';
import { countOf } from './ranges.ts';

export const MESSAGE_VERSION = 1;

const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const frameIndex = z.int().min(0).max(FRAMES_MAX);
const jobId = z.string().regex(JOB_ID_PATTERN);
const plainName = z.string().regex(NAME_PATTERN);
const errorText = z.string().max(ERROR_TEXT_CHARACTERS_MAX);
const range = z
  .tuple([frameIndex, frameIndex])
  .readonly()
  .refine(([start, end]) => start < end, { error: 'expected a range that is not empty' });

/** No more frames than a batch has: whoever counts them through must come to an end. */
const batchFrames = z
  .array(range)
  .max(BATCH_FRAMES_MAX)
  .refine((ranges) => countOf(ranges) <= BATCH_FRAMES_MAX, {
    error: `expected at most ${BATCH_FRAMES_MAX} frames`,
  });

/**
 * Why a frame could not be scored.
 *
 * undecodable  its bytes are no picture: hopeless
 * missing      it is not in storage: hopeless the second time
 * inference    the model gave an error for it
 * storage      storage did not give it, or did not take its result, while others came through
 * engine       engines or whole machines died or hung of it
 * model        the job's model cannot be had or loaded
 */
const FAILURE_KINDS = ['undecodable', 'missing', 'inference', 'storage', 'engine', 'model'] as const;
export const failureKind = z.enum(FAILURE_KINDS);
export type FailureKind = z.infer<typeof failureKind>;

export const modelReference = z.object({
  name: plainName,
  version: plainName,
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type ModelReference = z.infer<typeof modelReference>;

/** Values for a model's parameters, by name, as `model.json` describes them. */
export const modelParameters = z.record(plainName, z.string().max(200));
export type ModelParameters = z.infer<typeof modelParameters>;

/** Workers named in `refusedBy`: two are enough to blame the model. */
const REFUSALS_MAX = 8;

/** What deliveries of a batch have come to: it travels in the message, so that any worker knows it. */
const batchHistory = z.object({
  /** Deliveries that ended in a release: subtracted from `dequeueCount` wherever that is looked at. */
  releases: count,
  /** This history speaks of so many deliveries: those beyond it ended without a word. */
  deliveries: count,
  /** Frames stored or given up when it was last written: what the next delivery compares with. */
  resolved: count,
  /** Deliveries in a row that got nowhere: no frame more was stored or given up. */
  barren: count,
  /** Failures so far, by kind, how often, and the worker that saw the last one. Every frame once at most. */
  failures: z
    .array(z.object({ kind: failureKind, attempts: count, worker: plainName, frames: batchFrames.min(1) }))
    .max(BATCH_HISTORY_FAILURES_MAX),
  /** The one frame that is being tried carefully: whoever finds it here knows that the last worker died on it. */
  carefulFrame: frameIndex.nullable(),
  /** Workers that could not load the model, though it was not known to be the model's fault. */
  refusedBy: z.array(plainName).max(REFUSALS_MAX).default([]),
  /** Who had failed what is left, got it again, and passed it on once so that another may try. */
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
    /** When the job's index was last built, as Unix time in ms: a result of an older epoch still counts. */
    epoch: count,
    model: modelReference,
    parameters: modelParameters,
    frameFormat: z.literal('jpg'),
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

export const STAGES = ['fetch', 'decode', 'infer', 'encode', 'store'] as const;
export type Stage = (typeof STAGES)[number];
export type StageSeconds = Record<Stage, number>;

const seconds = z.number().min(0);

export const resultMessage = z.object({
  version: z.literal(MESSAGE_VERSION),
  jobId,
  batchIndex: count,
  epoch: count,
  worker: plainName,
  /** Frames whose output is stored, whoever stored it. */
  scored: batchFrames,
  /** Frames that will not be tried again, grouped by reason. */
  failed: z
    .array(z.object({ kind: failureKind, message: errorText, frames: batchFrames.min(1) }))
    .max(FAILURE_REASONS_MAX),
  /** What this delivery did itself, for rates: 0 where it only found what was there. */
  framesRun: count,
  megapixels: z.number().min(0),
  wallSeconds: seconds,
  /** The batch was released with a delay: its message is not visible for so long. */
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

/** Why something stands on the poison queue: what a frame can fail of, and what a message can. */
export const POISON_REASONS = [...FAILURE_KINDS, 'malformed', 'too-new'] as const;
const poisonReason = z.enum(POISON_REASONS);
export type PoisonReason = z.infer<typeof poisonReason>;

/**
 * What stands on the poison queue: everything needed to understand the failure and to try again. One for each reason that
 * frames of a delivery were given up for, or for a message that is no batch.
 */
export const poisonMessage = z.object({
  version: z.literal(MESSAGE_VERSION),
  /** `<message id>-<reason>`: a second copy with the same id is the same failure. */
  id: plainName,
  reason: poisonReason,
  /** The first frame's error, or what is wrong with the message. */
  message: errorText,
  /** Null for a message that is no batch. */
  batch: z.object({ jobId, batchIndex: count, model: modelReference, frames: batchFrames.min(1) }).nullable(),
  /** How often the frame was tried that was tried most often. */
  attempts: count,
  dequeueCount: count,
  worker: plainName,
  insertedAt: z.iso.datetime(),
  poisonedAt: z.iso.datetime(),
  /** The body as it stood on the queue; null where it is too large and lies in `logs` under `poisonBodyBlob(id)`. */
  body: z.string().nullable(),
});
export type PoisonMessage = z.infer<typeof poisonMessage>;

export type Decoded<T> =
  | { readonly kind: 'valid'; readonly message: T }
  | { readonly kind: 'newer'; readonly version: number }
  | { readonly kind: 'malformed'; readonly reason: string };

/** Base64 of JSON. Throws RangeError where it would not fit on the queue: the limits are to make that impossible. */
export function encodeMessage(message: BatchMessage | ResultMessage | PoisonMessage): string {
  const json = JSON.stringify(message);
  const bytes = Buffer.byteLength(json);
  if (bytes > MESSAGE_JSON_BYTES_MAX) {
    throw new RangeError(`expected a message of at most ${MESSAGE_JSON_BYTES_MAX} bytes, received ${bytes}`);
  }
  return Buffer.from(json).toString('base64');
}

/** Never throws, whatever the text. */
export function decodeMessage<T>(text: string, schema: z.ZodType<T>): Decoded<T> {
  const json = parseJson(Buffer.from(text, 'base64').toString('utf8'));
  if (json === undefined) return { kind: 'malformed', reason: 'not JSON in base64' };
  const parsed = schema.safeParse(json);
  if (parsed.success) return { kind: 'valid', message: parsed.data };
  const { version } = z.object({ version: z.int() }).catch({ version: 0 }).parse(json);
  if (version > MESSAGE_VERSION) return { kind: 'newer', version };
  return { kind: 'malformed', reason: cutText(firstIssue(parsed.error)) };
}

/** An error text as messages carry it. */
export function cutText(text: string): string {
  const flat = text.replace(/\s+/g, ' ').trim();
  if (flat.length <= ERROR_TEXT_CHARACTERS_MAX) return flat;
  return `${flat.slice(0, ERROR_TEXT_CHARACTERS_MAX - 1)}…`;
}

/** The first thing zod found, as `path: what`. */
export function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return 'invalid';
  const path = issue.path.map(String).join('.');
  return path === '' ? issue.message : `${path}: ${issue.message}`;
}
