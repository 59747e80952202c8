/**
 * Numbers that more than one room depends on. PURE.
 *
 * Each has its unit in its name and its reason in its comment. Relations between them are asserted at the end.
 */
import assert from 'node:assert/strict';

/** Padded to 8 digits, indices sort as text. Enough for 46 days at 25 frames/s. */
export const FRAME_INDEX_DIGITS = 8;
export const FRAMES_MAX = 10 ** FRAME_INDEX_DIGITS;

/** Still images of a job. The list of them is read into memory. */
export const IMAGES_MAX = 100_000;

/** Of a still image: twice 8K UHD, as for frames of a video. */
export const IMAGE_PIXELS_MAX = 8192 * 8192;

/** Of the path of a still image in its folder. Azure allows 1,024 characters in a blob name; the job id takes up to 71. */
export const IMAGE_NAME_BYTES_MAX = 900;

/** Names of the classes of a model, which its manifest has. */
export const LABELS_MAX = 100_000;
export const LABEL_CHARACTERS_MAX = 200;

/** More frames would not make a batch cheaper, and its history must fit into one message. */
export const BATCH_FRAMES_MAX = 512;

/** Frames before a batch that a model with a state sees again. */
export const CONTEXT_FRAMES_MAX = 64;

/** A source is split once by cutting or decoding, and if its pieces turn out to be wrong, once more by decoding. */
export const SPLITS_MAX = 2;

/** Azure Storage Queue allows 64 KiB per message, of which base64 leaves 48 KiB. */
export const MESSAGE_JSON_BYTES_MAX = 48 * 1024;

/** Enough for a sentence. The full text is in the log. */
export const ERROR_TEXT_CHARACTERS_MAX = 240;

/** Distinct failure reasons in one message. Further ones share an entry. */
export const FAILURE_REASONS_MAX = 32;

/** Groups of failures in a batch's history, by kind, attempts and worker. */
export const BATCH_HISTORY_FAILURES_MAX = 64;

/** How long a batch should take: long compared with a receive, short compared with the loss of an instance. */
export const BATCH_TARGET_SECONDS = 30;

/** Rate of one engine for a model that has not been measured: low for a GPU, high for a CPU. */
export const MEGAPIXELS_PER_SECOND_ASSUMED = 4;

/** Memory of a busy worker with its engine on the CPU. Limits how many run on one machine. */
export const WORKER_BYTES_ON_CPU = 1.5 * 2 ** 30;

/** Azure allows 1,024 characters in a blob name. This leaves room for the job id and the result's suffix. */
export const SOURCE_NAME_BYTES_MAX = 200;

/** A job fails if more than this fraction of its frames failed. One failed frame is allowed, unless it is the only frame. */
export const FAILED_FRAMES_FRACTION_MAX = 0.05;

/** Two frame indices, a comma, brackets and a separator, as JSON. */
const RANGE_BYTES_MAX = 2 * FRAME_INDEX_DIGITS + 4;
assert(
  (2 * BATCH_FRAMES_MAX + CONTEXT_FRAMES_MAX) * RANGE_BYTES_MAX + BATCH_HISTORY_FAILURES_MAX * 160 + 4_096 <
    MESSAGE_JSON_BYTES_MAX,
  'a batch with the longest history and the most pieces must fit into one message',
);
assert(
  (BATCH_FRAMES_MAX / 2) * RANGE_BYTES_MAX * 2 + FAILURE_REASONS_MAX * (ERROR_TEXT_CHARACTERS_MAX * 4 + 64) <
    MESSAGE_JSON_BYTES_MAX,
  'the result of the largest batch must fit into one message',
);
