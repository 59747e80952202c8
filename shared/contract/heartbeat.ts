/** A worker's heartbeat, sent every few seconds as metadata of an empty blob in `workers`. PURE. */
import { z } from 'zod';

import { JOB_ID_PATTERN, NAME_PATTERN } from './blob-names.ts';

/**
 * booting   not ready yet
 * idle      ready, holds no lease
 * busy      holds a lease
 * draining  receives nothing more, may still hold a lease
 * drained   holds no lease and will never receive again: final
 */
export const WORKER_STATES = ['booting', 'idle', 'busy', 'draining', 'drained'] as const;
export type WorkerState = (typeof WORKER_STATES)[number];

const heartbeat = z.object({
  version: z.literal(1),
  workerId: z.string().regex(NAME_PATTERN),
  /** The instance's id. Workers of an instance with several GPUs share it. */
  vmId: z.string().regex(NAME_PATTERN),
  state: z.enum(WORKER_STATES),
  stateSince: z.iso.datetime(),
  /** Of the batch that a busy worker has received last. Null also from a worker of an earlier release. */
  jobId: z.string().regex(JOB_ID_PATTERN).nullable().default(null),
  sequence: z.int().min(0),
  sentAt: z.iso.datetime(),
  /** The one in use: from the probe at the start, then from each model that is loaded. */
  executionProvider: z.string().nullable(),
  /** `name/version` of the model of the last batch with stored frames. */
  model: z.string().nullable(),
  megapixelsPerSecond: z.number().min(0).nullable(),
  /** Attempts at frames in the last ten minutes: stored, and failed in a way that may be the worker's fault. */
  recentStored: z.int().min(0),
  recentFailed: z.int().min(0),
  /** The worker left a message for workers of a newer release. */
  isTooOld: z.boolean(),
  /** Etag of the drain request in `control/drain/<vmId>` that `state` answers. It answers this request and no other. */
  drainEtag: z.string().max(100).nullable(),
});
export type Heartbeat = z.infer<typeof heartbeat>;

/** The blob metadata: header-safe ASCII under one key. */
export function heartbeatMetadata(beat: Heartbeat): Record<string, string> {
  return { beat: JSON.stringify(beat) };
}

/** The heartbeat in a blob's metadata. Undefined if there is none, or if it has another version. */
export function heartbeatFrom(metadata: Readonly<Record<string, string>>): Heartbeat | undefined {
  const text = metadata['beat'];
  if (text === undefined) return undefined;
  try {
    return heartbeat.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
