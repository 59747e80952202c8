/**
 * Numbers that more than one room must agree on. PURE.
 *
 * Each has its unit in its name and its reason beside it; what must hold between them is asserted at the end.
 */
import assert from 'node:assert/strict';

/** 8 digits sort as text and number 51 days of 25 frames/s. */
export const FRAME_INDEX_DIGITS = 8;
export const FRAMES_MAX = 10 ** FRAME_INDEX_DIGITS;

/** More frames do not make a batch cheaper, but its history must fit into one message. */
export const BATCH_FRAMES_MAX = 512;

/** Azure Storage Queue: 64 KiB a message, of which base64 leaves 48 KiB. */
export const MESSAGE_JSON_BYTES_MAX = 48 * 1024;

/** Enough for a sentence; the whole text stands in the log. */
export const ERROR_TEXT_CHARACTERS_MAX = 240;

/** Distinct reasons of failure told apart in one message; the rest is said to be "and others". */
export const FAILURE_REASONS_MAX = 32;

/** Groups in a batch's history of failing frames: kinds, tries and workers. */
export const BATCH_HISTORY_FAILURES_MAX = 64;

/** A batch is to take about this long: long against a receive, short against a lost machine. */
export const BATCH_TARGET_SECONDS = 30;

/** Of one engine, for a model nobody has run yet: a cautious GPU, a good CPU. */
export const MEGAPIXELS_PER_SECOND_ASSUMED = 4;

/** What a worker with its engine takes at work, on the CPU: how many a machine bears. */
export const WORKER_BYTES_ON_CPU = 1.5 * 2 ** 30;

/** Azure's bound on a blob name is 1,024 characters; ours leaves room for the job and the result's suffix. */
export const SOURCE_NAME_BYTES_MAX = 200;

/** Failed frames a video may have before the job fails: this fraction, but always at least one frame. */
export const FAILED_FRAMES_FRACTION_MAX = 0.05;

/** A frame index and two brackets, in ranges as JSON. */
const RANGE_BYTES_MAX = 2 * FRAME_INDEX_DIGITS + 4;
assert(
  BATCH_FRAMES_MAX * RANGE_BYTES_MAX + BATCH_HISTORY_FAILURES_MAX * 160 + 4_096 < MESSAGE_JSON_BYTES_MAX,
  'a batch must fit into one message with the longest history',
);
assert(
  (BATCH_FRAMES_MAX / 2) * RANGE_BYTES_MAX * 2 + FAILURE_REASONS_MAX * (ERROR_TEXT_CHARACTERS_MAX * 4 + 64) <
    MESSAGE_JSON_BYTES_MAX,
  'the result of the largest batch must fit into one message',
);
