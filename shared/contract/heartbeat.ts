/** What a worker says of itself every few seconds, as metadata of an empty blob in `workers`. PURE. */
import { z } from 'zod';

import { NAME_PATTERN } from './blob-names.ts';

/**
 * booting   the engine is not ready yet
 * idle      ready, holds no lease
 * busy      holds a lease
 * draining  takes nothing new, still holds a lease
 * drained   holds nothing and will take nothing ever again: terminal
 */
export const WORKER_STATES = ['booting', 'idle', 'busy', 'draining', 'drained'] as const;
export type WorkerState = (typeof WORKER_STATES)[number];

const heartbeat = z.object({
  version: z.literal(1),
  workerId: z.string().regex(NAME_PATTERN),
  /** The machine's own id; several workers share it where a machine has several GPUs. */
  vmId: z.string().regex(NAME_PATTERN),
  state: z.enum(WORKER_STATES),
  stateSince: z.iso.datetime(),
  sequence: z.int().min(0),
  sentAt: z.iso.datetime(),
  /** The one in force: from the probe at the start, then from every model loaded. */
  executionProvider: z.string().nullable(),
  /** `name/version` of the model last loaded. */
  model: z.string().nullable(),
  megapixelsPerSecond: z.number().min(0).nullable(),
  /** Tries of frames in the last ten minutes that were stored, and that failed in a way that may be the worker's fault. */
  recentStored: z.int().min(0),
  recentFailed: z.int().min(0),
  /** It left a message for workers of a newer release: it is too old for what is on the queue. */
  isTooOld: z.boolean(),
  /** Draining or drained because of `control/drain/<vmId>` with this etag: consent to that request and no other. */
  drainEtag: z.string().max(100).nullable(),
});
export type Heartbeat = z.infer<typeof heartbeat>;

/** Metadata of a blob: header-safe ASCII under one key. */
export function heartbeatMetadata(beat: Heartbeat): Record<string, string> {
  return { beat: JSON.stringify(beat) };
}

/** The heartbeat in a blob's metadata; undefined where it is none of ours or of another version. */
export function heartbeatFrom(metadata: Readonly<Record<string, string>>): Heartbeat | undefined {
  const text = metadata['beat'];
  if (text === undefined) return undefined;
  try {
    return heartbeat.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
