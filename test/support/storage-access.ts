/**
 * What each identity may do in storage, read from `infra/terraform/access.tf`, and a storage proxy for one of them: it refuses every other
 * request, as Azure does, and notes it.
 */
import { readFileSync } from 'node:fs';

import { parse } from '@cdktf/hcl2json';
import { z } from 'zod';

import type { TestStorage } from './servers.ts';
import { type StorageProxy, startStorageProxy } from './storage-proxy.ts';
import type { StorageOperation, StorageRequest } from './storage-request.ts';

const FILE = 'infra/terraform/access.tf';
export type StorageIdentity = 'producer' | 'worker' | 'scaler' | 'operator' | 'uploader';

/** `other` is an operation on a container, a queue or an account: none of the roles allows changes to these. */
const OPERATIONS: Readonly<Record<string, readonly StorageOperation[]>> = {
  blob_read: ['get', 'stat', 'list'],
  blob_write: ['get', 'stat', 'list', 'put', 'block', 'block-list', 'append', 'delete'],
  queue_send: ['send'],
  queue_count: ['metadata', 'peek'],
  queue_hold: ['metadata', 'peek', 'receive', 'update', 'remove'],
};

/** Containers and queues, each with its roles. */
const table = z.record(z.string(), z.union([z.string(), z.array(z.string())]));
const locals = z.object({
  access_table: z.record(z.string(), table),
  operator_table: table,
  uploader_table: table,
});
/** A role as the parser gives it. One that depends on a variable counts as granted: the page is on in these tests. */
const ROLE = /local\.(\w+)/g;

type Access = (request: Pick<StorageRequest, 'operation' | 'path'>) => boolean;

export async function accessOf(identity: StorageIdentity): Promise<Access> {
  const parsed = await parse(FILE, readFileSync(FILE, 'utf8'));
  const [found] = z.object({ locals: z.tuple([locals]) }).parse(parsed).locals;
  const { access_table: programs, operator_table: operator, uploader_table: uploader } = found;
  const tables: typeof programs = { ...programs, operator, uploader };
  const granted = tables[identity];
  if (granted === undefined) throw new Error(`expected ${identity} in the access table`);
  const allowed = new Map(
    Object.entries(granted).map(([name, roles]) => {
      const named = [...[roles].flat().join(' ').matchAll(ROLE)].map(([, role = '']) => role);
      return [name, named.flatMap((role) => OPERATIONS[role] ?? [])];
    }),
  );
  return ({ operation, path }) => allowed.get(path.split('/')[2] ?? '')?.includes(operation) ?? false;
}

export interface GuardedStorage extends AsyncDisposable {
  readonly connection: StorageProxy['connection'];
  /** Each request that was refused, such as `receive frame-batches`. */
  readonly refused: ReadonlySet<string>;
  readonly requests: StorageProxy['requests'];
}

export async function startGuardedStorage(
  storage: Pick<TestStorage, 'connection'>,
  identity: StorageIdentity,
): Promise<GuardedStorage> {
  const isAllowed = await accessOf(identity);
  const refused = new Set<string>();
  const proxy = await startStorageProxy(storage, {
    faults: (request) => {
      if (isAllowed(request)) return undefined;
      // Without a container or queue, the doctor asks for the time: a refusal has it, too.
      const name = request.path.split('/')[2];
      if (name !== undefined) refused.add(`${request.operation} ${name}`);
      return { kind: 'forbid' };
    },
  });
  return {
    connection: proxy.connection,
    requests: proxy.requests,
    refused,
    [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose](),
  };
}
