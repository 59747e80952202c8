/**
 * One leader among any number of programs: a lease in Redis, held by whoever wrote its token there.
 *
 *   following → leading     the key was free, and is ours now
 *   leading   → leading     renewed at a third of the lease
 *   leading   → following   the deadline is over, the key is another's, or the program stops
 *
 * The deadline is monotonic time at the start of the request plus the lease, less a margin: a program that was paused for longer
 * wakes up as a follower, whatever Redis last said to it. Between a look at the deadline and what follows from it a program may
 * be paused all the same; so whoever does what cannot be undone asks `confirm` right before, which reads the key again.
 */
import { randomUUID } from 'node:crypto';

import type { Redis } from 'ioredis';

import { type Clock, rest } from '../shared/runtime/clock.ts';
import type { Log } from '../shared/runtime/log.ts';
import { within } from '../shared/runtime/within.ts';

/** An answer to `confirm` that took longer says nothing about now. */
const CONFIRM_MS = 1_000;

/** KEYS lease. ARGV token, leaseMs. Takes it where it is free, renews it where it is ours. Returns 1 or 0. */
const TAKE = `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`;

/** KEYS lease. ARGV token. Gives it up where it is ours. */
const RELEASE = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0`;

/** KEYS lease. ARGV token, marginMs. Returns 1 where it is ours for longer than the margin. */
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

  constructor(parts: {
    readonly redis: Redis;
    /** Of what is led: `scaler`. */
    readonly name: string;
    readonly leaseMs: number;
    readonly clock: Clock;
    readonly log: Log;
  }) {
    this.#redis = parts.redis;
    this.#key = `framefleet:leader:${parts.name}`;
    this.#leaseMs = parts.leaseMs;
    this.#clock = parts.clock;
    this.#log = parts.log;
  }

  /** By our own clock, without asking anybody. */
  get isLeading(): boolean {
    return this.#clock.monotonicMs() < this.#deadlineMs;
  }

  /** Takes or renews the lease. Resolves false where it is another's, or Redis does not answer in time. Never throws. */
  async take(): Promise<boolean> {
    const askedAtMs = this.#clock.monotonicMs();
    const taken = await this.#ask(this.#leaseMs / 3, () =>
      this.#redis.eval(TAKE, 1, this.#key, this.#token, this.#leaseMs),
    );
    // No answer says nothing: the deadline stands as it was.
    if (taken !== undefined) {
      this.#deadlineMs = taken === 1 ? askedAtMs + this.#leaseMs - this.#marginMs : Number.NEGATIVE_INFINITY;
    }
    this.#tell();
    return this.isLeading;
  }

  /** Whether the lease is ours now, by Redis's own word, no older than a second. Never throws. */
  async confirm(): Promise<boolean> {
    if (!this.isLeading) return false;
    const askedAtMs = this.#clock.monotonicMs();
    const answer = await this.#ask(CONFIRM_MS, () =>
      this.#redis.eval(IS_OURS, 1, this.#key, this.#token, CONFIRM_MS),
    );
    return answer === 1 && this.isLeading && this.#clock.monotonicMs() - askedAtMs < CONFIRM_MS;
  }

  /** Takes and renews until the signal is aborted, then gives the lease up. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.take();
      await rest(this.#clock, this.#leaseMs / 3, signal);
    }
    await this.release();
  }

  /** Another may lead at once. */
  async release(): Promise<void> {
    this.#deadlineMs = Number.NEGATIVE_INFINITY;
    await this.#ask(CONFIRM_MS, () => this.#redis.eval(RELEASE, 1, this.#key, this.#token));
    this.#tell();
  }

  /** For clocks of two machines that do not run alike. */
  get #marginMs(): number {
    return this.#leaseMs / 10;
  }

  #tell(): void {
    if (this.isLeading === this.#wasLeading) return;
    this.#wasLeading = this.isLeading;
    this.#log.info({ isLeading: this.isLeading }, 'leadership changed');
  }

  /** Undefined where Redis fails or does not answer in time: a command waits for a lost connection for ever. */
  async #ask(boundMs: number, command: () => Promise<unknown>): Promise<unknown> {
    try {
      return await within(command, { clock: this.#clock, boundMs });
    } catch (error) {
      this.#log.warn({ error }, 'leadership unknown');
      return undefined;
    }
  }
}
