/**
 * The override: a fleet size that an operator sets for a limited time in place of the scaler's decision. PURE.
 *
 *   fixed  exactly this many instances, whatever the backlog
 *   min    at least this many
 *   max    at most this many
 *   pause  no instance starts; running instances finish their work and are removed
 *
 * Every override has an author, a reason and an end. Without an end, a forgotten override would cost money indefinitely.
 */
import { z } from 'zod';

import { parseJson } from '../../shared/contract/parse-json.ts';

export const OVERRIDE_MODES = ['fixed', 'min', 'max', 'pause'] as const;
/** A boot takes longer than the minimum. A need for longer than a week belongs in the configuration. */
export const TTL_SECONDS = { min: 60, max: 7 * 24 * 3600 } as const;
const REASON_CHARACTERS_MAX = 200;
const AUTHOR_CHARACTERS_MAX = 100;
export const CAPACITY_MAX = 1000;

export interface Override {
  readonly mode: (typeof OVERRIDE_MODES)[number];
  /** In instances; null for `pause`. */
  readonly capacity: number | null;
  readonly reason: string;
  readonly author: string;
  readonly setAt: Date;
  readonly expiresAt: Date;
}

/** One line of text without control characters, safe to print. */
const line = (charactersMax: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(charactersMax)
    .refine((text) => !/\p{Cc}/u.test(text) && text.isWellFormed(), { error: 'expected one line of text' });

const signature = { author: line(AUTHOR_CHARACTERS_MAX), reason: line(REASON_CHARACTERS_MAX) };
const capacity = z.int().min(0).max(CAPACITY_MAX);

/** The body of `PUT /override`. */
export const overrideRequest = z.discriminatedUnion('mode', [
  z.strictObject({
    mode: z.enum(['fixed', 'min', 'max']),
    capacity,
    ttlSeconds: z.int().min(TTL_SECONDS.min).max(TTL_SECONDS.max),
    ...signature,
  }),
  z.strictObject({
    mode: z.literal('pause'),
    capacity: z.null().optional(),
    ttlSeconds: z.int().min(TTL_SECONDS.min).max(TTL_SECONDS.max),
    ...signature,
  }),
]);
export type OverrideRequest = z.infer<typeof overrideRequest>;

/** The body of `DELETE /override`. */
export const overrideEnd = z.strictObject(signature);
export type OverrideEnd = z.infer<typeof overrideEnd>;

const instant = z.iso.datetime().transform((text) => new Date(text));

/** The blob. */
const overrideDocument = z.object({
  version: z.literal(1),
  mode: z.enum(OVERRIDE_MODES),
  capacity: capacity.nullable(),
  ...signature,
  setAt: instant,
  expiresAt: instant,
});

export function overrideFrom(request: OverrideRequest, now: Date): Override {
  const { mode, ttlSeconds, reason, author } = request;
  return {
    mode,
    capacity: request.capacity ?? null,
    reason,
    author,
    setAt: now,
    expiresAt: new Date(now.getTime() + ttlSeconds * 1000),
  };
}

export function encodeOverride(override: Override): string {
  return JSON.stringify({ version: 1, ...override });
}

/** Undefined where the text is not a valid override. */
export function decodeOverride(text: string): Override | undefined {
  const parsed = overrideDocument.safeParse(parseJson(text));
  if (!parsed.success) return undefined;
  const { version: _, ...override } = parsed.data;
  const hasCapacity = override.capacity !== null;
  return hasCapacity === (override.mode !== 'pause') ? override : undefined;
}

export function isExpired({ expiresAt }: Pick<Override, 'expiresAt'>, now: Date): boolean {
  return expiresAt.getTime() <= now.getTime();
}

/** Such as `exactly 4 instances`. */
export function describeOverride({ mode, capacity: wanted }: Pick<Override, 'mode' | 'capacity'>): string {
  const instances = `${wanted} instance${wanted === 1 ? '' : 's'}`;
  switch (mode) {
    case 'fixed':
      return `exactly ${instances}`;
    case 'min':
      return `at least ${instances}`;
    case 'max':
      return `at most ${instances}`;
    case 'pause':
      return 'paused: no instance starts, and running instances finish their work and are removed';
  }
}

/** The override as the API returns it, with `meaning` in words. */
export function overrideJson(override: Override | null | 'unknown') {
  if (override === null || override === 'unknown') return override;
  return {
    ...override,
    setAt: override.setAt.toISOString(),
    expiresAt: override.expiresAt.toISOString(),
    meaning: describeOverride(override),
  };
}
