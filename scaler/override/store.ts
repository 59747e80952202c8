/**
 * Where the override stands: one blob in `control`, so that it survives every restart, and a line in `logs` for each change.
 *
 * Promises: a change is on record before it is in force, and an override that is over is nobody's business any more, whether
 * its blob has been removed yet or not.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { OVERRIDE_AUDIT_BLOB, OVERRIDE_BLOB } from '../../shared/contract/blob-names.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { Override } from '../observe/observation.ts';
import {
  type OverrideEnd,
  type OverrideRequest,
  decodeOverride,
  encodeOverride,
  isExpired,
  overrideFrom,
} from './document.ts';

/** Of the loop itself, in the record. */
const SCALER = 'the scaler';

interface Change {
  readonly change: 'set' | 'ended' | 'expired';
  readonly author: string;
  readonly reason: string;
  /** Of the caller; null where the scaler did it by itself. */
  readonly address: string | null;
  readonly override: Override | null;
}

export class OverrideStore {
  readonly #blobs: Pick<BlobStore, 'get' | 'put' | 'stat' | 'append' | 'remove'>;
  readonly #clock: Clock;
  readonly #log: Log;

  constructor(parts: {
    readonly blobs: Pick<BlobStore, 'get' | 'put' | 'stat' | 'append' | 'remove'>;
    readonly clock: Clock;
    readonly log: Log;
  }) {
    this.#blobs = parts.blobs;
    this.#clock = parts.clock;
    this.#log = parts.log;
  }

  /** The one that stands, expired or not; null where there is none, `unknown` where it cannot be made out. Throws where storage does. */
  async read(signal?: AbortSignal): Promise<Override | null | 'unknown'> {
    const bytes = await this.#blobs.get('control', OVERRIDE_BLOB, { signal });
    if (bytes === undefined) return null;
    const override = decodeOverride(bytes.toString('utf8'));
    if (override === undefined) this.#log.error({ blob: OVERRIDE_BLOB }, 'override cannot be read');
    return override ?? 'unknown';
  }

  /** As `read`, but one whose time is over is none. */
  async inForce(): Promise<Override | null | 'unknown'> {
    const standing = await this.read();
    if (standing === null || standing === 'unknown') return standing;
    return isExpired(standing, this.#clock.now()) ? null : standing;
  }

  async set(request: OverrideRequest, address: string): Promise<Override> {
    const override = overrideFrom(request, this.#clock.now());
    const { author, reason } = override;
    await this.#record({ change: 'set', author, reason, address, override });
    await this.#blobs.put('control', OVERRIDE_BLOB, encodeOverride(override), {
      contentType: 'application/json',
    });
    return override;
  }

  /** Returns what has ended, or null where there was nothing to end. */
  async end({ author, reason }: OverrideEnd, address: string): Promise<Override | 'unknown' | null> {
    const standing = await this.inForce();
    if (standing === null) return null;
    const override = standing === 'unknown' ? null : standing;
    await this.#record({ change: 'ended', author, reason, address, override });
    await this.#blobs.remove('control', OVERRIDE_BLOB);
    return standing;
  }

  /** Removes one whose time is over, unless another has been set meanwhile. For the leader's loop. */
  async removeExpired(now: Date): Promise<void> {
    const before = await this.#blobs.stat('control', OVERRIDE_BLOB);
    const standing = await this.read();
    if (before === undefined || standing === null || standing === 'unknown') return;
    if (!isExpired(standing, now)) return;
    const reason = 'its time is over';
    await this.#record({ change: 'expired', author: SCALER, reason, address: null, override: standing });
    await this.#blobs.remove('control', OVERRIDE_BLOB, { onlyIfEtag: before.etag });
  }

  async #record(change: Change): Promise<void> {
    const line = JSON.stringify({ at: this.#clock.now().toISOString(), ...change });
    await this.#blobs.append('logs', OVERRIDE_AUDIT_BLOB, `${line}\n`);
    const { override, ...who } = change;
    const what = override === null ? {} : { mode: override.mode, capacity: override.capacity };
    const until = override === null ? {} : { expiresAt: override.expiresAt.toISOString() };
    this.#log.info({ ...who, ...what, ...until }, 'override changed');
  }
}
