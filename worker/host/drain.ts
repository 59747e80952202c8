/**
 * Draining: the worker receives nothing more, finishes or releases its batch, and reports it in its heartbeat. Final.
 *
 * Three things start it: a scheduled event (the instance will be taken), SIGTERM (the process must end), and a drain request. The
 * first two release the batch; a drain request lets the worker finish it.
 *
 *   working ──▶ draining ──▶ drained    until the process ends; heartbeats continue
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { heartbeatFrom } from '../../shared/contract/heartbeat.ts';
import { type Clock, rest } from '../../shared/runtime/clock.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { findDrainRequest } from './drain-request.ts';
import type { HeartbeatSender } from './heartbeat.ts';

export interface DrainOptions {
  readonly blobs: BlobStore;
  readonly vmId: string;
  readonly heartbeat: HeartbeatSender;
  readonly clock: Clock;
  readonly log: Log;
}

export class Drain {
  readonly #options: DrainOptions;
  readonly #draining = new AbortController();
  readonly #releasing = new AbortController();
  readonly #eventIds: string[] = [];
  /** Set once the worker holds nothing. */
  #acknowledge: ((eventId: string) => Promise<void>) | undefined;

  constructor(options: DrainOptions) {
    this.#options = options;
  }

  /** Aborted when the worker must receive nothing more. */
  get signal(): AbortSignal {
    return this.#draining.signal;
  }

  /** Aborted when the worker must release its batch: on an eviction notice or SIGTERM. */
  get releaseSignal(): AbortSignal {
    return this.#releasing.signal;
  }

  /** Call it on SIGTERM. */
  stop(): void {
    this.#begin('the process must end', { release: true });
  }

  /** Call it on an eviction notice. The event is acknowledged once the batch is released. */
  evict({ eventId, eventType }: { readonly eventId: string; readonly eventType: string }): void {
    this.#eventIds.push(eventId);
    this.#begin(`the instance will be taken: ${eventType}`, { release: true });
    void this.#answerEvents();
  }

  /** Checks for a drain request and, if there is one, starts draining. The batch in hand may be finished. */
  async isRequested(): Promise<boolean> {
    const etag = await findDrainRequest({ ...this.#options, signal: this.signal });
    if (etag === null) return false;
    this.#options.heartbeat.answerDrainRequest(etag);
    this.#begin('drain requested', { release: false });
    return true;
  }

  /** Call it when the worker holds nothing. Reports it in the heartbeat first, then to Azure. */
  async finish(acknowledge: (eventId: string) => Promise<void>): Promise<void> {
    const { heartbeat } = this.#options;
    heartbeat.setState('drained');
    await heartbeat.flush();
    this.#acknowledge = acknowledge;
    await this.#answerEvents();
  }

  /** Quotes drain requests that come later, always the newest, until the process ends. */
  async keepAnswering(everyMs: number, signal: AbortSignal): Promise<void> {
    const { clock, heartbeat } = this.#options;
    while (!signal.aborted) {
      const etag = await findDrainRequest({ ...this.#options, signal });
      if (etag !== null) heartbeat.answerDrainRequest(etag);
      await rest(clock, everyMs, signal);
    }
  }

  /** Tells Azure not to wait, unless another worker of this instance still holds a batch. The last one tells it. */
  async #answerEvents(): Promise<void> {
    if (this.#acknowledge === undefined || this.#eventIds.length === 0) return;
    if (!(await this.#areAllDrained())) return;
    for (const eventId of this.#eventIds.splice(0)) await this.#acknowledge(eventId);
  }

  async #areAllDrained(): Promise<boolean> {
    const { blobs, vmId, log } = this.#options;
    try {
      for await (const { metadata } of blobs.list('workers', { prefix: `${vmId}-`, withMetadata: true })) {
        const beat = heartbeatFrom(metadata);
        if (beat !== undefined && beat.vmId === vmId && beat.state !== 'drained') return false;
      }
      return true;
    } catch (error) {
      log.warn({ error }, 'heartbeats of this instance unreadable');
      return false;
    }
  }

  #begin(reason: string, { release }: { readonly release: boolean }): void {
    if (!this.signal.aborted) this.#options.log.info({ reason }, 'draining started');
    this.#options.heartbeat.setState('draining');
    this.#draining.abort(new Error(reason));
    if (release) this.#releasing.abort(new Error(reason));
  }
}
