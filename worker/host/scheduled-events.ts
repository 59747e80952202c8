/**
 * Polls Azure's Scheduled Events every second for eviction notices, reports each notice once, and acknowledges events when the
 * worker holds nothing.
 *
 *   unknown ──┬──▶ readable ◀──┐
 *             └──▶ unreadable ◀┘    each change is logged once; polling continues in every state, and `run` never throws
 *
 * Failed polls are repeated less and less often, but often enough to see the shortest notice with time to act on it. What to do
 * about a notice is left to the caller.
 */
import assert from 'node:assert/strict';

import { type BackoffLimits, backoffMs } from '../../shared/runtime/backoff.ts';
import { type Clock, rest } from '../../shared/runtime/clock.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { STOP_GRACE_MS } from '../../shared/runtime/service.ts';
import { askMetadataService } from './ask-metadata-service.ts';
import { type EvictionNotice, readScheduledEvents } from './scheduled-events-document.ts';

/** For a spot instance, at best. */
const SHORTEST_NOTICE_MS = 30_000;
/** Without an acknowledgement, Azure takes the instance anyway, only a little later. */
const ACKNOWLEDGE_ATTEMPTS = 2;

export interface ScheduledEventsTiming {
  /** Azure recommends every second. */
  readonly pollEveryMs: number;
  /** Between failed polls. */
  readonly backoff: BackoffLimits;
  readonly timeoutMs: number;
  /** Until the first answer: the first call enables the service for this instance, which may take two minutes. */
  readonly firstTimeoutMs: number;
  /** Of one attempt. Short, because the worker is about to end. */
  readonly acknowledgeTimeoutMs: number;
}

export const SCHEDULED_EVENTS_TIMING: ScheduledEventsTiming = {
  pollEveryMs: 1_000,
  backoff: { minMs: 1_000, maxMs: 10_000 },
  timeoutMs: 5_000,
  firstTimeoutMs: 120_000,
  acknowledgeTimeoutMs: 2_000,
};
assert(
  SCHEDULED_EVENTS_TIMING.backoff.maxMs + SCHEDULED_EVENTS_TIMING.timeoutMs <= SHORTEST_NOTICE_MS / 2,
  'half of the shortest notice must be left after any number of failed polls',
);
assert(
  SCHEDULED_EVENTS_TIMING.acknowledgeTimeoutMs * ACKNOWLEDGE_ATTEMPTS <= STOP_GRACE_MS / 2,
  'a stopping worker must have time to release its batch before it acknowledges',
);

export interface ScheduledEventsOptions {
  readonly url: string;
  /** Null: every event counts as this instance's. Correct if the service reports no other instance's events. */
  readonly vmName: string | null;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends polling, but not an acknowledgement. */
  readonly signal: AbortSignal;
  /** Called once per event. */
  readonly onEviction: (notice: EvictionNotice) => void;
  readonly timing?: ScheduledEventsTiming;
}

export class ScheduledEvents {
  readonly #options: ScheduledEventsOptions;
  readonly #timing: ScheduledEventsTiming;
  readonly #reported = new Map<string, EvictionNotice>();
  #state: 'unknown' | 'readable' | 'unreadable' = 'unknown';
  #wasAnswered = false;

  constructor(options: ScheduledEventsOptions) {
    this.#options = options;
    this.#timing = options.timing ?? SCHEDULED_EVENTS_TIMING;
  }

  /** Polls until the signal is aborted. */
  async run(): Promise<void> {
    const { clock, signal } = this.#options;
    const { pollEveryMs, backoff } = this.#timing;
    let failures = 0;
    while (!signal.aborted) {
      try {
        await this.#poll();
        failures = 0;
        this.#become('readable');
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        this.#become('unreadable', error);
      }
      const restMs = failures === 0 ? pollEveryMs : backoffMs(failures, backoff, Math.random());
      await rest(clock, restMs, signal);
    }
  }

  /**
   * Tells Azure not to wait, because everything is released. Best effort; never throws. Does not acknowledge an event of several
   * instances, because that would acknowledge it for all of them.
   */
  async acknowledge(eventId: string): Promise<void> {
    const { url, clock, log } = this.#options;
    if (this.#reported.get(eventId)?.isShared === true) return;
    const body = { StartRequests: [{ EventId: eventId }] };
    for (let attempt = 1; attempt <= ACKNOWLEDGE_ATTEMPTS; attempt += 1) {
      try {
        await askMetadataService({ url, clock, timeoutMs: this.#timing.acknowledgeTimeoutMs, body });
        log.info({ eventId }, 'eviction acknowledged');
        return;
      } catch (error) {
        log.warn({ error, eventId, attempt }, 'eviction not acknowledged');
      }
    }
  }

  async #poll(): Promise<void> {
    const { url, clock, vmName, signal } = this.#options;
    const { timeoutMs, firstTimeoutMs } = this.#timing;
    const text = await askMetadataService({
      url,
      clock,
      timeoutMs: this.#wasAnswered ? timeoutMs : firstTimeoutMs,
      signal,
    });
    this.#wasAnswered = true;
    const { evictions, fault } = readScheduledEvents(text, vmName);
    for (const notice of evictions) this.#report(notice);
    if (fault !== null) throw new TypeError(fault);
  }

  #report(notice: EvictionNotice): void {
    if (this.#reported.has(notice.eventId)) return;
    this.#reported.set(notice.eventId, notice);
    this.#options.log.warn({ ...notice }, 'eviction announced');
    this.#options.onEviction(notice);
  }

  #become(state: 'readable' | 'unreadable', error?: unknown): void {
    if (state === this.#state) return;
    this.#state = state;
    const { log, url } = this.#options;
    if (state === 'readable') log.info({ url }, 'scheduled events readable');
    else log.warn({ error, url }, 'scheduled events unreadable');
  }
}
