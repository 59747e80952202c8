/**
 * A frame that could not be scored, and its record in storage.
 *
 * The record `scored/<jobId>/<split>/<frame>.failed.json` says that a frame is given up: its segment shows a replacement. Removing
 * the record and the segment reopens the frame. PURE.
 */
import { z } from 'zod';

import { NAME_PATTERN } from './blob-names.ts';
import { ERROR_TEXT_CHARACTERS_MAX, FRAMES_MAX } from './limits.ts';
import { failureKind, modelReference } from './messages.ts';
import { parseJson } from './parse-json.ts';

const failedFrame = z.object({
  frameIndex: z.int().min(0).max(FRAMES_MAX),
  kind: failureKind,
  message: z.string().max(ERROR_TEXT_CHARACTERS_MAX),
  /** Failed attempts so far: in one delivery or in all of them, as the context says. */
  attempts: z.int().min(1),
});
/** The one type for a frame that failed, whether it will be tried again or not. */
export type FailedFrame = Readonly<z.infer<typeof failedFrame>>;

const failedFrameRecord = failedFrame.extend({
  worker: z.string().regex(NAME_PATTERN),
  model: modelReference,
  failedAt: z.iso.datetime(),
});
type FailedFrameRecord = z.infer<typeof failedFrameRecord>;

const UNREADABLE = {
  kind: 'storage',
  message: 'the record of its failure cannot be read',
  attempts: 1,
} as const;

export function encodeFailedFrame(record: FailedFrameRecord): string {
  return JSON.stringify(record);
}

/** Undefined if the text is not a valid record. */
export function decodeFailedFrame(text: string): FailedFrameRecord | undefined {
  const parsed = failedFrameRecord.safeParse(parseJson(text));
  return parsed.success ? parsed.data : undefined;
}

/** Why the frame was given up. A frame whose record cannot be read stays given up. */
export function failureIn(text: string): Omit<FailedFrame, 'frameIndex'> {
  return decodeFailedFrame(text) ?? UNREADABLE;
}
