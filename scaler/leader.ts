/**
 * Elects one leader among any number of processes: a lease in Redis, held by the process whose token is stored there.
 *
 *   following → leading     the key was free, and this process took it
 *   leading   → leading     renewed after a third of the lease
 *   leading   → following   the deadline has passed, another process holds the key, or this process stops
 *
 * The deadline is the monotonic time at the start of the request plus the lease, less a margin. A process that was paused for longer
 * resumes as a follower, whatever Redis last answered. It may also be paused between checking the deadline and acting on it, so call
 * `confirm`, which reads the key again, just before an action that cannot be undone.
 */
import { randomUUID } from 'node:crypto';

import type { Redis } from 'ioredis';

import { type Clock, rest } from '../shared/runtime/clock.ts';
import type { Log } from '../shared/runtime/log.ts';
import { within } from '../shared/runtime/within.ts';

/** An answer to `confirm` that took longer is out of date. */
const CONFIRM_MS = 1_000;

/** KEYS lease. ARGV token, leaseMs. Takes the lease if it is free, renews it if it is ours. Returns 1 if we hold it. */
const TAKE = `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`;

/** KEYS lease. ARGV token. Releases the lease if it is ours. */
const RELEASE = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0`;

/** KEYS lease. ARGV token, marginMs. Returns 1 if the lease is ours for longer than the margin. */
const IS_OURS = `
if redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('PTTL', KEYS[1]) > tonumber(ARGV[2]) then return 1 end
return 0`;

export class Leadership {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #leaseMs: number;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #token = randomUUID();
  #deadlineMs = Number.NEGATIVE_INFINITY;
  #wasLeading = false;

  constructor(options: {
    readonly redis: Redis;
    /** Which election: `scaler`. */
    readonly name: string;
    readonly leaseMs: number;
    readonly clock: Clock;
    readonly log: Log;
  }) {
    this.#redis = options.redis;
    this.#key = `framefleet:leader:${options.name}`;
    this.#leaseMs = options.leaseMs;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** By our own clock, without a request. */
  get isLeading(): boolean {
    return this.#clock.monotonicMs() < this.#deadlineMs;
  }

  /** Takes or renews the lease. Resolves to whether this process leads. Never throws. */
  async take(): Promise<boolean> {
    const requestedAtMs = this.#clock.monotonicMs();
    const taken = await this.#call(this.#leaseMs / 3, () =>
      this.#redis.eval(TAKE, 1, this.#key, this.#token, this.#leaseMs),
    );
    // No response: keep the deadline.
    if (taken !== undefined) {
      this.#deadlineMs =
        taken === 1 ? requestedAtMs + this.#leaseMs - this.#marginMs : Number.NEGATIVE_INFINITY;
    }
    this.#logChange();
    return this.isLeading;
  }

  /** Whether Redis confirms, within the last second, that the lease is ours. Never throws. */
  async confirm(): Promise<boolean> {
    if (!this.isLeading) return false;
    const requestedAtMs = this.#clock.monotonicMs();
    const answer = await this.#call(CONFIRM_MS, () =>
      this.#redis.eval(IS_OURS, 1, this.#key, this.#token, CONFIRM_MS),
    );
    return answer === 1 && this.isLeading && this.#clock.monotonicMs() - requestedAtMs < CONFIRM_MS;
  }

  /** Takes and renews the lease until the signal is aborted, then releases it. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.take();
      await rest(this.#clock, this.#leaseMs / 3, signal);
    }
    await this.release();
  }

  /** Another process may lead at once. */
  async release(): Promise<void> {
    this.#deadlineMs = Number.NEGATIVE_INFINITY;
    await this.#call(CONFIRM_MS, () => this.#redis.eval(RELEASE, 1, this.#key, this.#token));
    this.#logChange();
  }

  /** For clocks that run at different speeds on two instances. */
  get #marginMs(): number {
    return this.#leaseMs / 10;
  }

  #logChange(): void {
    if (this.isLeading === this.#wasLeading) return;
    this.#wasLeading = this.isLeading;
    this.#log.info({ isLeading: this.isLeading }, 'leadership changed');
  }

  /** Undefined if Redis fails or does not answer in time. Without a bound, a command waits forever for a lost connection. */
  async #call(boundMs: number, command: () => Promise<unknown>): Promise<unknown> {
    try {
      return await within(command, { clock: this.#clock, boundMs });
    } catch (error) {
      this.#log.warn({ error }, 'leadership unknown');
      return undefined;
    }
  }
}
