/**
 * `scored/<jobId>/<frame>.failed.json`: a frame that was given up, and why. It stands where the scored frame would; whoever
 * takes it away reopens the frame. PURE.
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
  attempts: z.int().min(1),
  worker: z.string().regex(NAME_PATTERN),
  model: modelReference,
  failedAt: z.iso.datetime(),
});
export type FailedFrame = z.infer<typeof failedFrame>;

const UNREADABLE = { kind: 'storage', message: 'the record of its failure cannot be read' } as const;

export function encodeFailedFrame(frame: FailedFrame): string {
  return JSON.stringify(frame);
}

/** Undefined for what is none. */
export function decodeFailedFrame(text: string): FailedFrame | undefined {
  const parsed = failedFrame.safeParse(parseJson(text));
  return parsed.success ? parsed.data : undefined;
}

/** Why it was given up. It stays so where its record cannot be read. */
export function failureIn(text: string): Pick<FailedFrame, 'kind' | 'message'> {
  return decodeFailedFrame(text) ?? UNREADABLE;
}
