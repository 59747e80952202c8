/**
 * Server-sent events. One loop looks for all clients, and sends each only what has changed. A client that does not read what it is sent is
 * dropped; its browser connects again.
 */
import { PassThrough } from 'node:stream';

import type { Clock } from '../../shared/runtime/clock.ts';
import { TransientError } from '../../shared/runtime/errors.ts';
import type { FleetNow, JobDetail } from './contract.ts';
import type { JobDetailReader } from './job-details.ts';
import type { JobIndex } from './job-index.ts';

const PASS_MS = 1_000;
const CLIENTS_MAX = 100;
/** Proxies end connections that are silent for a few minutes. */
const HEARTBEAT_MS = 15_000;
const FLEET_MS = 2_000;
const UNREAD_BYTES_MAX = 4 * 1024 * 1024;

interface LiveClient {
  readonly stream: PassThrough;
  /** The job whose details it follows. */
  readonly jobId: string | null;
  /** The last of each event that it was sent. */
  readonly sent: Map<string, string>;
}

export interface LiveEventsOptions {
  readonly index: JobIndex;
  readonly details: JobDetailReader;
  /** Null where no scaler is configured. */
  readonly fleetNow: (() => Promise<FleetNow>) | null;
  readonly clock: Clock;
}

export class LiveEvents {
  readonly #options: LiveEventsOptions;
  readonly #clients = new Set<LiveClient>();
  #heartbeatAtMs = -Infinity;
  #fleetAtMs = -Infinity;
  #fleet: FleetNow | undefined;

  constructor(options: LiveEventsOptions) {
    this.#options = options;
  }

  /** The events for a new client, until it disconnects. Throws TOO_MANY_REQUESTS. */
  connect(jobId: string | null): PassThrough {
    if (this.#clients.size >= CLIENTS_MAX)
      throw new TransientError('TOO_MANY_REQUESTS', `${CLIENTS_MAX} pages are open already.`, {
        hint: 'Close one, or wait: the page tries again by itself.',
      });
    const client = { stream: new PassThrough(), jobId, sent: new Map<string, string>() };
    client.stream.on('error', () => undefined);
    client.stream.on('close', () => this.#clients.delete(client));
    // Sent at once, so that the browser knows that the connection is open.
    client.stream.write('retry: 3000\n\n');
    this.#clients.add(client);
    this.#options.index.watch();
    return client.stream;
  }

  /** Sends what has changed. Returns how long to rest, in milliseconds. */
  async pass(): Promise<number> {
    const { index, clock } = this.#options;
    const { changed, gone } = index.takeChanges();
    if (this.#clients.size === 0) return PASS_MS;
    index.watch();
    for (const client of this.#clients) {
      if (changed.length > 0) send(client, 'jobs', JSON.stringify(changed));
      if (gone.length > 0) send(client, 'gone', JSON.stringify(gone));
    }
    await Promise.all([this.#sendDetails(), this.#sendFleet()]);
    if (clock.monotonicMs() - this.#heartbeatAtMs > HEARTBEAT_MS) {
      this.#heartbeatAtMs = clock.monotonicMs();
      for (const client of this.#clients) write(client, ': alive\n\n');
    }
    return PASS_MS;
  }

  close(): void {
    for (const { stream } of this.#clients) stream.destroy();
  }

  async #sendDetails(): Promise<void> {
    const jobIds = new Set([...this.#clients].flatMap(({ jobId }) => (jobId === null ? [] : [jobId])));
    const details = new Map<string, JobDetail>();
    for (const jobId of jobIds) {
      const detail = await this.#options.details.of(jobId);
      if (detail !== undefined) details.set(jobId, detail);
    }
    for (const client of this.#clients) {
      const detail = client.jobId === null ? undefined : details.get(client.jobId);
      if (detail !== undefined) sendIfNew(client, 'job', JSON.stringify(detail));
    }
  }

  async #sendFleet(): Promise<void> {
    const { fleetNow, clock } = this.#options;
    if (fleetNow === null) return;
    if (clock.monotonicMs() - this.#fleetAtMs > FLEET_MS) {
      this.#fleetAtMs = clock.monotonicMs();
      // A scaler that does not answer for a while is no reason to stop all other events.
      this.#fleet = await fleetNow().catch(() => undefined);
    }
    if (this.#fleet === undefined) return;
    const text = JSON.stringify(this.#fleet);
    for (const client of this.#clients) sendIfNew(client, 'fleet', text);
  }
}

function sendIfNew(client: LiveClient, name: string, data: string): void {
  if (client.sent.get(name) === data) return;
  client.sent.set(name, data);
  send(client, name, data);
}

function send(client: LiveClient, name: string, data: string): void {
  write(client, `event: ${name}\ndata: ${data}\n\n`);
}

function write({ stream }: LiveClient, text: string): void {
  if (stream.destroyed) return;
  if (stream.writableLength + stream.readableLength > UNREAD_BYTES_MAX) stream.destroy();
  else stream.write(text);
}
