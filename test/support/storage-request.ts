/** A request to storage as a proxy sees it: which operation it is, by method, path and query; and counts of them. */
import { systemClock } from '../../shared/runtime/clock.ts';

export type StorageService = 'blob' | 'queue';

export type StorageOperation =
  | 'receive'
  | 'send'
  | 'update'
  | 'remove'
  | 'peek'
  | 'clear'
  /** A queue's metadata, its count among them. */
  | 'metadata'
  | 'get'
  | 'put'
  | 'stat'
  | 'delete'
  | 'list'
  | 'block'
  | 'block-list'
  | 'append'
  /** Of a container, a queue or the account. */
  | 'other';

export interface StorageRequest {
  readonly service: StorageService;
  readonly operation: StorageOperation;
  readonly method: string;
  /** As on the wire: `/<account>/<container>/<name>`, `/<account>/<queue>/messages/<messageId>`. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Of an update or a removal of a message. */
  readonly messageId: string | undefined;
  /** From 1, over both services. */
  readonly number: number;
  /** Monotonic. */
  readonly atMs: number;
}

export function storageRequest({
  service,
  method,
  url,
  number,
}: {
  readonly service: StorageService;
  readonly method: string;
  readonly url: string;
  readonly number: number;
}): StorageRequest {
  const { pathname: path, searchParams: query } = new URL(url, 'http://proxy');
  const [, , , inside, messageId] = path.split('/');
  return {
    service,
    operation:
      service === 'queue'
        ? queueOperation({ method, query, inside, messageId })
        : blobOperation({ method, query, inside }),
    method,
    path,
    query,
    messageId: service === 'queue' && messageId !== undefined ? decodeURIComponent(messageId) : undefined,
    number,
    atMs: systemClock.monotonicMs(),
  };
}

function queueOperation({
  method,
  query,
  inside,
  messageId,
}: {
  readonly method: string;
  readonly query: URLSearchParams;
  readonly inside: string | undefined;
  readonly messageId: string | undefined;
}): StorageOperation {
  if (inside !== 'messages') return query.get('comp') === 'metadata' ? 'metadata' : 'other';
  if (method === 'PUT') return 'update';
  if (method === 'POST') return 'send';
  if (method === 'DELETE') return messageId === undefined ? 'clear' : 'remove';
  return query.get('peekonly') === 'true' ? 'peek' : 'receive';
}

function blobOperation({
  method,
  query,
  inside,
}: {
  readonly method: string;
  readonly query: URLSearchParams;
  readonly inside: string | undefined;
}): StorageOperation {
  const comp = query.get('comp');
  if (inside === undefined) return comp === 'list' ? 'list' : 'other';
  if (method === 'PUT') {
    if (comp === 'block') return 'block';
    if (comp === 'blocklist') return 'block-list';
    if (comp === 'appendblock') return 'append';
    return comp === null ? 'put' : 'other';
  }
  if (method === 'HEAD') return 'stat';
  return method === 'DELETE' ? 'delete' : 'get';
}

/** What was asked so far. */
export class StorageRequests {
  readonly #seen: StorageRequest[] = [];

  /** In the order in which they came. */
  get seen(): readonly StorageRequest[] {
    return this.#seen;
  }

  get total(): number {
    return this.#seen.length;
  }

  count(operation: StorageOperation, { messageId }: { readonly messageId?: string } = {}): number {
    return this.of(operation).filter((one) => messageId === undefined || one.messageId === messageId).length;
  }

  of(operation: StorageOperation): readonly StorageRequest[] {
    return this.#seen.filter((one) => one.operation === operation);
  }

  note(request: StorageRequest): void {
    this.#seen.push(request);
  }

  clear(): void {
    this.#seen.length = 0;
  }
}
