/**
 * Taking nothing more: because the machine goes (scheduled event), because somebody asks (drain request), or because the
 * process is told to end (SIGTERM). What is in hand is finished or released, the heartbeat answers, and that is for ever.
 *
 *   working ──▶ draining ──▶ drained    stays so, and beats its heart, until the process ends
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { heartbeatFrom } from '../../shared/contract/heartbeat.ts';
import { type Clock, rest } from '../../shared/runtime/clock.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { findDrainRequest } from './drain-request.ts';
import type { Heart } from './heartbeat.ts';

export interface DrainParts {
  readonly blobs: BlobStore;
  readonly vmId: string;
  readonly heart: Heart;
  readonly clock: Clock;
  readonly log: Log;
}

export class Drain {
  readonly #parts: DrainParts;
  readonly #draining = new AbortController();
  readonly #releasing = new AbortController();
  readonly #eventIds: string[] = [];
  /** Once nothing is held any more. */
  #acknowledge: ((eventId: string) => Promise<void>) | undefined;

  constructor(parts: DrainParts) {
    this.#parts = parts;
  }

  /** Aborted when nothing more is to be taken. */
  get signal(): AbortSignal {
    return this.#draining.signal;
  }

  /** Aborted when what is in hand is to be released: the machine goes, or the process does. */
  get releaseSignal(): AbortSignal {
    return this.#releasing.signal;
  }

  /** The process is to end. */
  stopping(): void {
    this.#begin('the process is to end', { release: true });
  }

  /** The machine goes; `eventId` is acknowledged once everything is released. */
  evicted({ eventId, eventType }: { readonly eventId: string; readonly eventType: string }): void {
    this.#eventIds.push(eventId);
    this.#begin(`the machine goes: ${eventType}`, { release: true });
    void this.#answerEvents();
  }

  /** Whether somebody asks for it; if so, it begins: what is in hand may be finished. */
  async isRequested(): Promise<boolean> {
    const etag = await findDrainRequest({ ...this.#parts, signal: this.signal });
    if (etag === null) return false;
    this.#parts.heart.consent(etag);
    this.#begin('a drain request', { release: false });
    return true;
  }

  /** Nothing is held any more: says so, first to whoever reads heartbeats, then to Azure. */
  async finish(acknowledge: (eventId: string) => Promise<void>): Promise<void> {
    const { heart } = this.#parts;
    heart.become('drained');
    await heart.flush();
    this.#acknowledge = acknowledge;
    await this.#answerEvents();
  }

  /** A request that comes later, or again, is answered too: by quoting the newest. Until the process ends. */
  async keepAnswering({
    everyMs,
    signal,
  }: {
    readonly everyMs: number;
    readonly signal: AbortSignal;
  }): Promise<void> {
    const { clock, heart } = this.#parts;
    while (!signal.aborted) {
      const etag = await findDrainRequest({ ...this.#parts, signal });
      if (etag !== null) heart.consent(etag);
      await rest(clock, everyMs, signal);
    }
  }

  /** Azure need not wait; unless another worker of this machine still holds something: the last one answers. */
  async #answerEvents(): Promise<void> {
    if (this.#acknowledge === undefined || this.#eventIds.length === 0) return;
    if (!(await this.#areAllDrained())) return;
    for (const eventId of this.#eventIds.splice(0)) await this.#acknowledge(eventId);
  }

  async #areAllDrained(): Promise<boolean> {
    const { blobs, vmId, log } = this.#parts;
    try {
      for await (const { metadata } of blobs.list('workers', { prefix: `${vmId}-`, withMetadata: true })) {
        const beat = heartbeatFrom(metadata);
        if (beat !== undefined && beat.vmId === vmId && beat.state !== 'drained') return false;
      }
      return true;
    } catch (error) {
      log.warn({ error }, 'other workers of this machine are unknown: the event is not acknowledged');
      return false;
    }
  }

  #begin(why: string, { release }: { readonly release: boolean }): void {
    if (!this.signal.aborted) this.#parts.log.info({ why }, 'draining: nothing more is taken');
    this.#parts.heart.become('draining');
    this.#draining.abort(new Error(why));
    if (release) this.#releasing.abort(new Error(why));
  }
}
