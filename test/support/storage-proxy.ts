/**
 * A proxy in front of a test storage that injects faults: it stalls, resets, loses answers, or is busy. A test chooses the fault for
 * each request and reads the list of requests afterwards. Without faults the proxy changes nothing.
 */
import {
  Agent,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  createServer,
  request,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

import { storageAccount } from '../../shared/azure/credentials.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import { seededRandom } from './seeded-random.ts';
import type { TestStorage } from './servers.ts';
import {
  type StorageRequest,
  StorageRequests,
  type StorageService,
  storageRequest,
} from './storage-request.ts';

export type Fault =
  /** Accepted and never answered, until the client disconnects. */
  | { readonly kind: 'stall' }
  /** Carried out; half of the answer's body, then nothing. If there is no body, nothing at all. */
  | { readonly kind: 'stall-body' }
  /** The connection breaks before anything is carried out. */
  | { readonly kind: 'reset' }
  /** Carried out; the connection breaks after half of the answer's body. */
  | { readonly kind: 'reset-body' }
  /** Carried out; the connection breaks before the answer. */
  | { readonly kind: 'lose-answer' }
  /** 503 ServerBusy; nothing is carried out. */
  | { readonly kind: 'busy'; readonly retryAfterSeconds?: number }
  /** 403: the identity lacks the role; nothing is carried out. */
  | { readonly kind: 'forbid' }
  /** Carried out late. */
  | { readonly kind: 'delay'; readonly delayMs: number }
  /** Carried out when the promise resolves. */
  | { readonly kind: 'hold'; readonly until: Promise<void> }
  /** Request bodies are no faster than this; nothing fails. */
  | { readonly kind: 'slow'; readonly bytesPerSecond: number };

export type Faults = (request: StorageRequest) => Fault | undefined;

export interface StorageProxy extends AsyncDisposable {
  /** Connection strings that lead through the proxy. */
  readonly connection: TestStorage['connection'];
  readonly accounts: TestStorage['accounts'];
  readonly requests: StorageRequests;
  /** Can be set at any time. */
  faults: Faults;
}

export const NO_FAULTS: Faults = () => undefined;
/** Segments are stored late, so that a batch takes time without work for the processor. */
export const slowSegments =
  (delayMs: number): Faults =>
  ({ operation, path }) =>
    operation === 'put' && /\/scored\/.*\.mp4$/.test(path) ? { kind: 'delay', delayMs } : undefined;
const ENDPOINT = /(Blob|Queue)Endpoint=http:\/\/127\.0\.0\.1:(\d+)\//g;
/** Headers of one connection only: client and proxy, or proxy and storage. */
const HOP_HEADERS: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'transfer-encoding']);

export async function startStorageProxy(
  { connection }: Pick<TestStorage, 'connection'>,
  { faults = NO_FAULTS }: { readonly faults?: Faults } = {},
): Promise<StorageProxy> {
  const agent = new Agent({ keepAlive: true });
  const requests = new StorageRequests();
  const served = new Map<string, { readonly server: Server; readonly port: number }>();
  for (const [, name = '', port = ''] of connection.media.matchAll(ENDPOINT)) {
    const service: StorageService = name === 'Blob' ? 'blob' : 'queue';
    const server = createServer((incoming, answer) => {
      const { method = '', url = '' } = incoming;
      const sent = storageRequest({ service, method, url, number: requests.total + 1 });
      requests.note(sent);
      const exchange: Exchange = { incoming, answer, port: Number(port), agent };
      serve(exchange, proxy.faults(sent)).catch(() => incoming.socket.destroy());
    });
    // Never close an idle connection of a client: that would be an unintended fault.
    server.keepAliveTimeout = 0;
    server.requestTimeout = 0;
    served.set(name, { server, port: await listening(server) });
  }
  const through = (setting: string): string =>
    setting.replaceAll(ENDPOINT, (_all, name: string) => {
      return `${name}Endpoint=http://127.0.0.1:${served.get(name)?.port}/`;
    });
  const [media, system] = [through(connection.media), through(connection.system)];
  const proxy: StorageProxy = {
    connection: { media, system },
    accounts: { media: storageAccount(media), system: storageAccount(system) },
    requests,
    faults,
    [Symbol.asyncDispose]: async () => {
      for (const { server } of served.values()) {
        const closed = new Promise((resolve) => server.close(resolve));
        server.closeAllConnections();
        await closed;
      }
      agent.destroy();
    },
  };
  return proxy;
}

export interface FaultMix {
  readonly seed: number;
  /** From 0 to 1. */
  readonly rate: number;
  readonly kinds: readonly Fault[];
  readonly concerns?: (request: StorageRequest) => boolean;
}

/** Random faults from a seed: of all requests that `concerns` accepts, a share of `rate` meets one of `kinds`. */
export function seededFaults({ seed, rate, kinds, concerns = () => true }: FaultMix): Faults {
  const random = seededRandom(seed);
  return (sent) => {
    if (!concerns(sent)) return undefined;
    const [hits, kind] = [random() < rate, kinds[Math.floor(random() * kinds.length)]];
    return hits ? kind : undefined;
  };
}

interface Exchange {
  readonly incoming: IncomingMessage;
  readonly answer: ServerResponse;
  readonly port: number;
  readonly agent: Agent;
  readonly bytesPerSecond?: number;
}

async function serve(exchange: Exchange, fault: Fault | undefined): Promise<void> {
  const { incoming, answer } = exchange;
  switch (fault?.kind) {
    case 'stall':
      incoming.resume();
      return;
    case 'reset':
      incoming.socket.resetAndDestroy();
      return;
    case 'busy':
      await buffer(incoming);
      answerError(answer, {
        status: 503,
        code: 'ServerBusy',
        headers:
          fault.retryAfterSeconds === undefined ? {} : { 'retry-after': String(fault.retryAfterSeconds) },
      });
      return;
    case 'forbid':
      await buffer(incoming);
      answerError(answer, { status: 403, code: 'AuthorizationPermissionMismatch', headers: {} });
      return;
    case 'lose-answer':
      await buffer(await forward(exchange));
      incoming.socket.destroy();
      return;
    case 'stall-body':
      await answerHalf(exchange);
      return;
    case 'reset-body':
      await answerHalf(exchange);
      incoming.socket.destroy();
      return;
    case 'delay':
      await systemClock.sleep(fault.delayMs);
      await answerAll(exchange);
      return;
    case 'hold':
      await fault.until;
      await answerAll(exchange);
      return;
    case 'slow':
      await answerAll({ ...exchange, bytesPerSecond: fault.bytesPerSecond });
      return;
    case undefined:
      await answerAll(exchange);
  }
}

/** The answer of the storage. Once the storage has the whole request, it completes it even if the client disconnects. */
function forward({ incoming, port, agent, bytesPerSecond = Infinity }: Exchange): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const { method, url, headers } = incoming;
    const onward = request(
      { host: '127.0.0.1', port, agent, method, path: url, headers: passedOn(headers) },
      resolve,
    );
    onward.once('error', reject);
    incoming.once('close', () => {
      if (!incoming.complete) onward.destroy();
    });
    if (bytesPerSecond === Infinity) incoming.pipe(onward);
    else Readable.from(slowed(incoming, bytesPerSecond)).once('error', reject).pipe(onward);
  });
}

async function* slowed(incoming: IncomingMessage, bytesPerSecond: number): AsyncGenerator<Buffer> {
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    await systemClock.sleep((chunk.length / bytesPerSecond) * 1000);
    yield chunk;
  }
}

async function answerAll(exchange: Exchange): Promise<void> {
  const { answer } = exchange;
  const source = await forward(exchange);
  writeHead(answer, source);
  source.once('error', () => answer.destroy());
  source.pipe(answer);
}

/** Resolves when the first half is sent. */
async function answerHalf(exchange: Exchange): Promise<void> {
  const { answer } = exchange;
  const source = await forward(exchange);
  const body = await buffer(source);
  if (body.length === 0) return;
  writeHead(answer, source);
  const half = body.subarray(0, Math.floor(body.length / 2));
  await new Promise((resolve) => answer.write(half, resolve));
}

function writeHead(answer: ServerResponse, { statusCode = 0, headers }: IncomingMessage): void {
  answer.writeHead(statusCode, passedOn(headers));
}

function passedOn(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_HEADERS.has(name)));
}

interface ErrorAnswer {
  readonly status: number;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;
}

function answerError(answer: ServerResponse, { status, code, headers }: ErrorAnswer): void {
  answer.writeHead(status, { 'content-type': 'application/xml', 'x-ms-error-code': code, ...headers });
  answer.end(
    `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>From the proxy.</Message></Error>`,
  );
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
