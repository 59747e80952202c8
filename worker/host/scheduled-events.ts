/**
 * Listens for the notice that Azure takes this machine: polls Scheduled Events every second, tells of each notice once, and
 * tells Azure when there is nothing left to wait for.
 *
 *   unknown ──┬──▶ readable ◀──┐
 *             └──▶ unreadable ◀┘    each change is logged once; `run` goes on in any of them, and never throws
 *
 * A poll that fails is repeated ever more rarely, but often enough to see the shortest notice with time to act on it. What is
 * done about a notice is left to whoever listens.
 */
import assert from 'node:assert/strict';

import { type BackoffLimits, backoffMs } from '../../shared/runtime/backoff.ts';
import { type Clock, rest } from '../../shared/runtime/clock.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { STOP_GRACE_MS } from '../../shared/runtime/service.ts';
import { askMetadataService } from './ask-metadata-service.ts';
import { type EvictionNotice, readScheduledEvents } from './scheduled-events-document.ts';

/** Of a spot machine, and only at best. */
const SHORTEST_NOTICE_MS = 30_000;
/** The machine goes in any case: without the answer, a little later. */
const ACKNOWLEDGE_TRIES = 2;

export interface ScheduledEventsTiming {
  /** As often as Azure recommends. */
  readonly pollEveryMs: number;
  /** Between polls that fail. */
  readonly backoff: BackoffLimits;
  readonly timeoutMs: number;
  /** Until one has been answered: the first call switches the service on for this machine, which may take two minutes. */
  readonly firstTimeoutMs: number;
  /** Of one try: the worker is about to end. */
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
  'the shortest notice must be seen with half of it left, however often polls have failed',
);
assert(
  SCHEDULED_EVENTS_TIMING.acknowledgeTimeoutMs * ACKNOWLEDGE_TRIES <= STOP_GRACE_MS / 2,
  'a worker that stops must have time to release before it acknowledges',
);

export interface ScheduledEventsParts {
  readonly url: string;
  /** Null takes every event for ours: right where the service tells a machine of no other. */
  readonly vmName: string | null;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends the polling, not an acknowledgement. */
  readonly signal: AbortSignal;
  /** Once per event. */
  readonly onEviction: (notice: EvictionNotice) => void;
  readonly timing?: ScheduledEventsTiming;
}

export class ScheduledEvents {
  readonly #parts: ScheduledEventsParts;
  readonly #timing: ScheduledEventsTiming;
  readonly #told = new Map<string, EvictionNotice>();
  #state: 'unknown' | 'readable' | 'unreadable' = 'unknown';
  #wasAnswered = false;

  constructor(parts: ScheduledEventsParts) {
    this.#parts = parts;
    this.#timing = parts.timing ?? SCHEDULED_EVENTS_TIMING;
  }

  /** Polls until the signal is aborted. */
  async run(): Promise<void> {
    const { clock, signal } = this.#parts;
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
   * Tells Azure that it need not wait: everything is released. Best effort; never throws. An event of several machines is left
   * to its time: whoever acknowledges it does so for all of them.
   */
  async acknowledge(eventId: string): Promise<void> {
    const { url, clock, log } = this.#parts;
    if (this.#told.get(eventId)?.isShared === true) return;
    const body = { StartRequests: [{ EventId: eventId }] };
    for (let attempt = 1; attempt <= ACKNOWLEDGE_TRIES; attempt += 1) {
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
    const { url, clock, vmName, signal } = this.#parts;
    const { timeoutMs, firstTimeoutMs } = this.#timing;
    const text = await askMetadataService({
      url,
      clock,
      timeoutMs: this.#wasAnswered ? timeoutMs : firstTimeoutMs,
      signal,
    });
    this.#wasAnswered = true;
    const { evictions, fault } = readScheduledEvents(text, { vmName });
    for (const notice of evictions) this.#tell(notice);
    if (fault !== null) throw new TypeError(fault);
  }

  #tell(notice: EvictionNotice): void {
    if (this.#told.has(notice.eventId)) return;
    this.#told.set(notice.eventId, notice);
    this.#parts.log.warn({ ...notice }, 'this machine will be taken');
    this.#parts.onEviction(notice);
  }

  #become(state: 'readable' | 'unreadable', error?: unknown): void {
    if (state === this.#state) return;
    this.#state = state;
    const { log, url } = this.#parts;
    if (state === 'readable') log.info({ url }, 'scheduled events can be read');
    else log.warn({ error, url }, 'scheduled events cannot be read: an eviction would come without notice');
  }
}
