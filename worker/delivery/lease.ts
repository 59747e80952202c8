/**
 * The lease on one message, from the receive until it is settled or lost.
 *
 *   held ──▶ settling ──▶ settled    the message was deleted, made visible again, or left until the lease expires
 *     └──────────┴──────▶ lost       another worker has it, or may have it: `signal` is aborted, and nothing is touched
 *
 * The deadline is the monotonic time at the start of the request plus the requested visibility, never a server's timestamp. A
 * timer renews at a third of the length, sooner after a failure. Renewing, saving and settling never overlap, so settling always
 * uses the newest receipt.
 */
import assert from 'node:assert/strict';

import { LeaseLostError, type ReceivedMessage, type WorkQueue } from '../../shared/azure/work-queue.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import { describeError } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';

const RETRY_RENEWAL_MS_MIN = 1_000;

export interface LeaseTiming {
  readonly leaseSeconds: number;
  readonly renewEveryMs: number;
}

export interface LeaseRelease {
  readonly text: string;
  readonly delaySeconds: number;
}

export interface LeaseListener {
  renewed(): void;
  renewalFailed(): void;
  lost(): void;
}

export interface LeaseOptions {
  readonly queue: WorkQueue;
  readonly message: ReceivedMessage;
  /** Monotonic time at the start of the request that received the message. */
  readonly requestedAtMs: number;
  readonly timing: LeaseTiming;
  readonly clock: Clock;
  readonly log: Log;
  readonly listener: LeaseListener;
}

type LeaseState = 'held' | 'settling' | 'settled' | 'lost';

export class Lease {
  readonly #queue: WorkQueue;
  readonly #timing: LeaseTiming;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #listener: LeaseListener;
  readonly #lostController = new AbortController();
  #message: ReceivedMessage;
  #state: LeaseState = 'held';
  #deadlineMs: number;
  #renewTimer: NodeJS.Timeout | undefined;
  #deadlineTimer: NodeJS.Timeout | undefined;
  #renewal: Promise<boolean> = Promise.resolve(true);

  constructor(options: LeaseOptions) {
    this.#queue = options.queue;
    this.#message = options.message;
    this.#timing = options.timing;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#listener = options.listener;
    this.#deadlineMs = options.requestedAtMs + options.timing.leaseSeconds * 1000;
    this.#schedule();
  }

  /** Aborted when the lease is lost. */
  get signal(): AbortSignal {
    return this.#lostController.signal;
  }

  get state(): LeaseState {
    const isOver = this.#clock.monotonicMs() >= this.#deadlineMs;
    if (isOver && (this.#state === 'held' || this.#state === 'settling')) this.#lose('the lease expired');
    return this.#state;
  }

  /** Deletes the message. If the lease is lost, returns false and touches nothing. */
  complete(): Promise<boolean> {
    return this.#settle((message) => this.#queue.remove(message));
  }

  /** Makes the message visible after a delay, with a new text, in one call. If the lease is lost, returns false. */
  release({ text, delaySeconds }: LeaseRelease): Promise<boolean> {
    return this.#settle(async (message) => {
      await this.#queue.update({ ...message, text }, { visibilityTimeoutSeconds: delaySeconds });
    });
  }

  /** Sets the text that the next renewal writes into the message. */
  setTextForNextRenewal(text: string): void {
    this.#message = { ...this.#message, text };
  }

  /** Writes a text into the message now, which also renews the lease. Returns whether it was written. */
  async save(text: string): Promise<boolean> {
    this.setTextForNextRenewal(text);
    await this.#renewal;
    if (this.state !== 'held') return false;
    this.#stopTimers();
    this.#renewal = this.#renew();
    return this.#renewal;
  }

  /** Stops renewing and leaves the message as it is. The message becomes visible when the lease expires. */
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
      // The call may have been carried out or not. Either way, this worker must not touch the message again.
      this.#lose(error instanceof LeaseLostError ? 'the queue refused to settle it' : describeError(error));
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

  /** Reading `state` detects the loss. A timer may fire a millisecond early; then it is set again. */
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
      if (error instanceof LeaseLostError) this.#lose('the queue refused to renew it');
      else this.#log.warn({ error, messageId: message.messageId }, 'lease renewal failed');
      // Retry sooner than usual, in a third of the remaining time.
      const leftMs = this.#deadlineMs - this.#clock.monotonicMs();
      if (this.state === 'held')
        this.#schedule(Math.min(renewEveryMs, Math.max(RETRY_RENEWAL_MS_MIN, leftMs / 3)));
      return false;
    }
  }

  #lose(reason: string): void {
    if (this.#state === 'settled' || this.#state === 'lost') return;
    this.#state = 'lost';
    this.#stopTimers();
    this.#listener.lost();
    this.#log.warn({ messageId: this.#message.messageId, reason }, 'lease lost');
    this.#lostController.abort(new LeaseLostError(reason));
  }

  #isLost(): boolean {
    return this.state === 'lost';
  }

  #stopTimers(): void {
    clearTimeout(this.#renewTimer);
    clearTimeout(this.#deadlineTimer);
  }
}
