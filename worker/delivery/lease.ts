/**
 * The lease on one message: ours from the receive until it is settled or lost.
 *
 *   held ──▶ settling ──▶ settled    the message was deleted, or made visible again
 *     └──────────┴──────▶ lost       somebody else has it, or may have: `signal` is aborted, and we touch nothing
 *
 * The deadline is monotonic time at the start of the request plus the visibility asked for, never a server's timestamp. A
 * timer renews at a third of the length, sooner after a failure. Renewing and settling never overlap, so settling always uses
 * the newest receipt.
 */
import assert from 'node:assert/strict';

import { LeaseLostError, type ReceivedMessage, type WorkQueue } from '../../shared/azure/work-queue.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import { describeError } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';

const RENEW_AGAIN_MS_MIN = 1_000;

export interface LeaseTiming {
  readonly leaseSeconds: number;
  readonly renewEveryMs: number;
}

export interface LeaseListener {
  renewed(): void;
  renewalFailed(): void;
  lost(): void;
}

type LeaseState = 'held' | 'settling' | 'settled' | 'lost';

export class Lease {
  readonly #queue: WorkQueue;
  readonly #timing: LeaseTiming;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #listener: LeaseListener;
  readonly #losing = new AbortController();
  #message: ReceivedMessage;
  #state: LeaseState = 'held';
  #deadlineMs: number;
  #renewTimer: NodeJS.Timeout | undefined;
  #deadlineTimer: NodeJS.Timeout | undefined;
  #renewal: Promise<boolean> = Promise.resolve(true);

  constructor(parts: {
    readonly queue: WorkQueue;
    readonly message: ReceivedMessage;
    /** Monotonic time at which the request that received the message was started. */
    readonly requestedAtMs: number;
    readonly timing: LeaseTiming;
    readonly clock: Clock;
    readonly log: Log;
    readonly listener: LeaseListener;
  }) {
    this.#queue = parts.queue;
    this.#message = parts.message;
    this.#timing = parts.timing;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#listener = parts.listener;
    this.#deadlineMs = parts.requestedAtMs + parts.timing.leaseSeconds * 1000;
    this.#schedule();
  }

  /** Aborted when the lease is lost. */
  get signal(): AbortSignal {
    return this.#losing.signal;
  }

  get state(): LeaseState {
    const isOver = this.#clock.monotonicMs() >= this.#deadlineMs;
    if (isOver && (this.#state === 'held' || this.#state === 'settling')) this.#lose('its time ran out');
    return this.#state;
  }

  /** Deletes the message. Returns false, having touched nothing, where the lease is lost. */
  complete(): Promise<boolean> {
    return this.#settle((message) => this.#queue.remove(message));
  }

  /** Makes the message visible again after a delay, with a new text, in one call. Returns false where the lease is lost. */
  release({
    text,
    delaySeconds,
  }: {
    readonly text: string;
    readonly delaySeconds: number;
  }): Promise<boolean> {
    return this.#settle(async (message) => {
      await this.#queue.update({ ...message, text }, { visibilityTimeoutSeconds: delaySeconds });
    });
  }

  /** What the next renewal will put into the message. */
  note(text: string): void {
    this.#message = { ...this.#message, text };
  }

  /** Puts a text into the message at once, and so renews. Returns whether it stands there. */
  async save(text: string): Promise<boolean> {
    this.note(text);
    await this.#renewal;
    if (this.state !== 'held') return false;
    this.#stopTimers();
    this.#renewal = this.#renew();
    return this.#renewal;
  }

  /** Stops renewing and leaves the message as it is. */
  leave(): void {
    this.#stopTimers();
    if (this.#state === 'held') this.#state = 'settled';
  }

  async #settle(settle: (message: ReceivedMessage) => Promise<void>): Promise<boolean> {
    if (this.#isLost()) return false;
    assert.equal(this.#state, 'held', 'a lease is settled once');
    this.#state = 'settling';
    await this.#renewal;
    if (this.#isLost()) return false;
    this.#stopTimers();
    try {
      await settle(this.#message);
      this.#state = 'settled';
      return true;
    } catch (error) {
      // Whether it was carried out or not: the message is not ours to touch any more.
      this.#lose(error instanceof LeaseLostError ? 'settling was refused' : describeError(error));
      return false;
    }
  }

  #schedule(inMs = this.#timing.renewEveryMs): void {
    this.#stopTimers();
    this.#renewTimer = setTimeout(() => {
      this.#renewal = this.#renew();
    }, inMs);
    this.#watchDeadline();
  }

  /** Looking is what finds it lost. A timer may fire a millisecond early: then it looks again. */
  #watchDeadline(): void {
    clearTimeout(this.#deadlineTimer);
    const leftMs = Math.max(1, Math.ceil(this.#deadlineMs - this.#clock.monotonicMs()));
    this.#deadlineTimer = setTimeout(() => {
      if (!this.#isLost()) this.#watchDeadline();
    }, leftMs);
  }

  async #renew(): Promise<boolean> {
    if (this.state !== 'held') return false;
    this.#watchDeadline();
    const { leaseSeconds, renewEveryMs } = this.#timing;
    const requestedAtMs = this.#clock.monotonicMs();
    const message = this.#message;
    try {
      const popReceipt = await this.#queue.update(message, { visibilityTimeoutSeconds: leaseSeconds });
      this.#message = { ...this.#message, popReceipt };
      this.#deadlineMs = requestedAtMs + leaseSeconds * 1000;
      this.#listener.renewed();
      if (this.state === 'held') this.#schedule();
      return true;
    } catch (error) {
      this.#listener.renewalFailed();
      if (error instanceof LeaseLostError) this.#lose('renewing was refused');
      else this.#log.warn({ error, messageId: message.messageId }, 'lease renewal failed');
      // Sooner than usual, and ever sooner: what is left of the lease is all there is.
      const leftMs = this.#deadlineMs - this.#clock.monotonicMs();
      if (this.state === 'held')
        this.#schedule(Math.min(renewEveryMs, Math.max(RENEW_AGAIN_MS_MIN, leftMs / 3)));
      return false;
    }
  }

  #lose(why: string): void {
    if (this.#state === 'settled' || this.#state === 'lost') return;
    this.#state = 'lost';
    this.#stopTimers();
    this.#listener.lost();
    this.#log.warn({ messageId: this.#message.messageId, why }, 'lease lost');
    this.#losing.abort(new LeaseLostError(why));
  }

  #isLost(): boolean {
    return this.state === 'lost';
  }

  #stopTimers(): void {
    clearTimeout(this.#renewTimer);
    clearTimeout(this.#deadlineTimer);
  }
}
