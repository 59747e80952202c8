/**
 * A fake of Azure's Scheduled Events service, with events that a test schedules.
 *
 * An event is first Scheduled. It becomes Started when it is acknowledged or when its NotBefore time has passed; NotBefore is empty then.
 * The document incarnation increases with every change. The service can also fail, hang, or return an invalid body.
 */
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

import { z } from 'zod';

import { parseJson } from '../../shared/contract/parse-json.ts';

const PATH = '/metadata/scheduledevents';
const startRequests = z.object({ StartRequests: z.array(z.object({ EventId: z.string() })).min(1) });

type ServerMode = 'normal' | 'fails' | 'hangs' | 'invalid';

interface EventOptions {
  readonly eventType: string;
  readonly resources: readonly string[];
  readonly noticeSeconds: number;
}

interface ScheduledEvent {
  readonly id: string;
  readonly type: string;
  readonly resources: readonly string[];
  readonly notBeforeAt: Date;
  isStarted: boolean;
}

export class ScheduledEventsServer implements AsyncDisposable {
  /** Ids of acknowledged events, in order. */
  readonly acknowledged: string[] = [];
  /** Number of requests for the document, including failed ones. */
  polls = 0;
  #mode: ServerMode = 'normal';
  #events: ScheduledEvent[] = [];
  #incarnation = 1;
  #scheduled = 0;
  readonly #server = createServer((request, response) => {
    void this.#answer(request, response);
  });

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}${PATH}?api-version=2020-07-01`;
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  /** Returns the id of the new event. With 0 seconds of notice it is Started at once, as after a hardware failure. */
  schedule({ eventType, resources, noticeSeconds }: EventOptions): string {
    this.#scheduled += 1;
    const id = `event-${this.#scheduled}`;
    const notBeforeAt = new Date(Date.now() + noticeSeconds * 1000);
    this.#events.push({ id, type: eventType, resources, notBeforeAt, isStarted: false });
    this.#incarnation += 1;
    return id;
  }

  /** Removes all events, as when they are over. */
  clear(): void {
    this.#events = [];
    this.#incarnation += 1;
  }

  /** Applies from the next request on. */
  setMode(mode: ServerMode): void {
    this.#mode = mode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://127.0.0.1');
    const body = await text(request);
    if (request.method === 'GET') this.polls += 1;
    const end = (status: number, content = ''): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(content);
    };
    if (this.#mode === 'hangs') return;
    if (this.#mode === 'fails') end(500, '{"error":"Internal Server Error"}');
    else if (this.#mode === 'invalid') end(200, '<html>Please sign in</html>');
    else if (pathname !== PATH) end(404);
    else if (request.headers['metadata'] !== 'true') end(400, '{"error":"Bad request"}');
    else if (!searchParams.has('api-version')) end(400, '{"error":"Bad request"}');
    else if (request.method === 'GET') end(200, JSON.stringify(this.#document()));
    else if (request.method === 'POST') end(this.#acknowledge(body) ? 200 : 400);
    else end(405);
  }

  #document() {
    for (const event of this.#events) if (event.notBeforeAt.getTime() <= Date.now()) this.#begin(event);
    return {
      DocumentIncarnation: this.#incarnation,
      Events: this.#events.map(({ id, type, resources, notBeforeAt, isStarted }) => ({
        EventId: id,
        EventType: type,
        ResourceType: 'VirtualMachine',
        Resources: resources,
        EventStatus: isStarted ? 'Started' : 'Scheduled',
        NotBefore: isStarted ? '' : notBeforeAt.toUTCString(),
        Description: '',
        EventSource: 'Platform',
        DurationInSeconds: -1,
      })),
    };
  }

  /** Acknowledges events for all their resources. False for an unknown event or an invalid body. */
  #acknowledge(body: string): boolean {
    const parsed = startRequests.safeParse(parseJson(body));
    if (!parsed.success) return false;
    const ids = parsed.data.StartRequests.map(({ EventId }) => EventId);
    const events = ids.flatMap((id) => this.#events.find((event) => event.id === id) ?? []);
    if (events.length < ids.length) return false;
    this.acknowledged.push(...ids);
    for (const event of events) this.#begin(event);
    return true;
  }

  #begin(event: ScheduledEvent): void {
    if (event.isStarted) return;
    event.isStarted = true;
    this.#incarnation += 1;
  }
}
