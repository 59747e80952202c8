/**
 * Stores the override as one blob in `control`, which survives restarts, and appends each change to the audit log in `logs`.
 *
 * Guarantees: a change is recorded before it takes effect, and an expired override has no effect, even while its blob exists.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { OVERRIDE_AUDIT_BLOB, OVERRIDE_BLOB } from '../../shared/contract/blob-names.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { Log } from '../../shared/runtime/log.ts';
import {
  type Override,
  type OverrideEnd,
  type OverrideRequest,
  decodeOverride,
  encodeOverride,
  isExpired,
  overrideFrom,
} from './document.ts';

/** The author of changes that the scaler makes itself. */
const SCALER = 'the scaler';

interface Change {
  readonly change: 'set' | 'ended' | 'expired';
  readonly author: string;
  readonly reason: string;
  /** The caller's address. Null for a change by the scaler itself. */
  readonly address: string | null;
  readonly override: Override | null;
}

type OverrideBlobs = Pick<BlobStore, 'get' | 'put' | 'stat' | 'append' | 'remove'>;

export interface OverrideStoreOptions {
  readonly blobs: OverrideBlobs;
  readonly clock: Clock;
  readonly log: Log;
}

export class OverrideStore {
  readonly #blobs: OverrideBlobs;
  readonly #clock: Clock;
  readonly #log: Log;

  constructor(options: OverrideStoreOptions) {
    this.#blobs = options.blobs;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** The stored override, even if it has expired. Null: there is none. `unknown`: its blob is not valid. Throws storage errors. */
  async read(signal?: AbortSignal): Promise<Override | null | 'unknown'> {
    const bytes = await this.#blobs.get('control', OVERRIDE_BLOB, { signal });
    if (bytes === undefined) return null;
    const override = decodeOverride(bytes.toString('utf8'));
    if (override === undefined) this.#log.error({ blob: OVERRIDE_BLOB }, 'override blob is not valid');
    return override ?? 'unknown';
  }

  /** As `read`, but null for an expired override. */
  async inForce(): Promise<Override | null | 'unknown'> {
    const stored = await this.read();
    if (stored === null || stored === 'unknown') return stored;
    return isExpired(stored, this.#clock.now()) ? null : stored;
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

  /** Returns the override that it ended, or null where there was none. */
  async end({ author, reason }: OverrideEnd, address: string): Promise<Override | 'unknown' | null> {
    const stored = await this.inForce();
    if (stored === null) return null;
    const override = stored === 'unknown' ? null : stored;
    await this.#record({ change: 'ended', author, reason, address, override });
    await this.#blobs.remove('control', OVERRIDE_BLOB);
    return stored;
  }

  /** Removes an expired override, unless another has been set in the meantime. Called by the leader. */
  async removeExpired(now: Date): Promise<void> {
    const before = await this.#blobs.stat('control', OVERRIDE_BLOB);
    const stored = await this.read();
    if (before === undefined || stored === null || stored === 'unknown') return;
    if (!isExpired(stored, now)) return;
    const reason = 'the override expired';
    await this.#record({ change: 'expired', author: SCALER, reason, address: null, override: stored });
    await this.#blobs.remove('control', OVERRIDE_BLOB, { onlyIfEtag: before.etag });
  }

  async #record(change: Change): Promise<void> {
    const line = JSON.stringify({ at: this.#clock.now().toISOString(), ...change });
    await this.#blobs.append('logs', OVERRIDE_AUDIT_BLOB, `${line}\n`);
    const { override, ...fields } = change;
    const overrideFields =
      override === null
        ? {}
        : {
            mode: override.mode,
            capacity: override.capacity,
            expiresAt: override.expiresAt.toISOString(),
          };
    this.#log.info({ ...fields, ...overrideFields }, 'override changed');
  }
}
