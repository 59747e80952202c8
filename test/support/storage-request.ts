/** Classifies requests to storage by method, path and query, as a proxy sees them, and counts them. */
import { systemClock } from '../../shared/runtime/clock.ts';

export type StorageService = 'blob' | 'queue';

export type StorageOperation =
  | 'receive'
  | 'send'
  | 'update'
  | 'remove'
  | 'peek'
  | 'clear'
  /** The metadata of a queue, including its count of messages. */
  | 'metadata'
  | 'get'
  | 'put'
  | 'stat'
  | 'delete'
  | 'list'
  | 'block'
  | 'block-list'
  | 'append'
  /** Operations on a container, a queue or the account. */
  | 'other';

export interface StorageRequest {
  readonly service: StorageService;
  readonly operation: StorageOperation;
  readonly method: string;
  /** As sent: `/<account>/<container>/<name>`, `/<account>/<queue>/messages/<messageId>`. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Set for an update or a removal of a message. */
  readonly messageId: string | undefined;
  /** Counts from 1, over both services. */
  readonly number: number;
  /** Monotonic time. */
  readonly atMs: number;
}

interface RawRequest {
  readonly service: StorageService;
  readonly method: string;
  readonly url: string;
  readonly number: number;
}

export function storageRequest({ service, method, url, number }: RawRequest): StorageRequest {
  const { pathname: path, searchParams: query } = new URL(url, 'http://proxy');
  const [, , , inside, messageId] = path.split('/');
  return {
    service,
    operation:
      service === 'queue'
        ? queueOperation(method, query, inside, messageId)
        : blobOperation(method, query, inside),
    method,
    path,
    query,
    messageId: service === 'queue' && messageId !== undefined ? decodeURIComponent(messageId) : undefined,
    number,
    atMs: systemClock.monotonicMs(),
  };
}

function queueOperation(
  method: string,
  query: URLSearchParams,
  inside: string | undefined,
  messageId: string | undefined,
): StorageOperation {
  if (inside !== 'messages') return query.get('comp') === 'metadata' ? 'metadata' : 'other';
  if (method === 'PUT') return 'update';
  if (method === 'POST') return 'send';
  if (method === 'DELETE') return messageId === undefined ? 'clear' : 'remove';
  return query.get('peekonly') === 'true' ? 'peek' : 'receive';
}

function blobOperation(method: string, query: URLSearchParams, inside: string | undefined): StorageOperation {
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

/** The requests so far. */
export class StorageRequests {
  readonly #seen: StorageRequest[] = [];

  /** In order of arrival. */
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
