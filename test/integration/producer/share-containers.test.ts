/** What an address allows, signed with a key or by an identity, tested with plain HTTP requests. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { PATIENT } from '../../../shared/azure/credentials.ts';
import { ShareContainers } from '../../../shared/azure/share-containers.ts';
import { OBJECT_ID, type IdentityStorage, startIdentityStorage } from '../../support/identity-storage.ts';
import { type TestStorage, startTestStorage } from '../../support/servers.ts';

const DAY_MS = 86_400_000;
const BLOCK_BLOB = { 'x-ms-blob-type': 'BlockBlob' };
const from = (startsAt: Date, ms: number) => ({ startsAt, expiresAt: new Date(startsAt.getTime() + ms) });

let byKey: TestStorage;
let byIdentity: IdentityStorage;

beforeAll(async () => {
  [byKey, byIdentity] = await Promise.all([startTestStorage(), startIdentityStorage()]);
});
afterAll(async () => {
  await byKey[Symbol.asyncDispose]();
  await byIdentity[Symbol.asyncDispose]();
});

/** The HTTP status of a request with only this address. */
async function statusOf(
  address: string,
  method: string,
  blob: string,
  query = '',
  body?: string,
): Promise<number> {
  const url = new URL(address);
  url.pathname += blob === '' ? '' : `/${blob}`;
  const headers = method === 'PUT' && query === '' ? BLOCK_BLOB : {};
  const answer = await fetch(`${url.href}${query}`, {
    method,
    headers: { ...headers, 'x-ms-version': '2023-11-03' },
    ...(body === undefined ? {} : { body }),
  });
  await answer.arrayBuffer();
  return answer.status;
}

describe.each(['a key', 'an identity'] as const)('an address signed by %s', (signer) => {
  const service = async () => (signer === 'a key' ? byKey.accounts.media.blobs(PATIENT) : byIdentity.service);
  const open = async (container: `share-${string}`, times = from(new Date(Date.now() - 60_000), DAY_MS)) => {
    const containers = new ShareContainers(await service());
    await containers.create(container);
    return containers.writeOnlyAddress(container, times);
  };

  test('allows writing a blob in one request or in blocks, and overwriting it', async () => {
    const address = await open('share-writer');
    expect(await statusOf(address, 'PUT', 'folder/clip.mp4', '', 'the video')).toBe(201);
    expect(await statusOf(address, 'PUT', 'folder/clip.mp4', '', 'the video, again')).toBe(201);
    const id = encodeURIComponent(Buffer.from('1').toString('base64'));
    expect(await statusOf(address, 'PUT', 'big.mp4', `&comp=block&blockid=${id}`, 'a block')).toBe(201);
    const list = `<?xml version="1.0"?><BlockList><Latest>${decodeURIComponent(id)}</Latest></BlockList>`;
    expect(await statusOf(address, 'PUT', 'big.mp4', '&comp=blocklist', list)).toBe(201);
    const there = (await service()).getContainerClient('share-writer');
    expect(String(await there.getBlobClient('big.mp4').downloadToBuffer())).toBe('a block');
    expect(String(await there.getBlobClient('folder/clip.mp4').downloadToBuffer())).toBe('the video, again');
  });

  test('does not allow reading, listing, deleting, or writing to another container', async () => {
    const address = await open('share-only-writer');
    expect(await statusOf(address, 'PUT', 'clip.mp4', '', 'x')).toBe(201);
    await new ShareContainers(await service()).create('share-neighbour');
    const elsewhere = address.replace('share-only-writer', 'share-neighbour');
    const statuses = {
      get: await statusOf(address, 'GET', 'clip.mp4'),
      head: await statusOf(address, 'HEAD', 'clip.mp4'),
      list: await statusOf(address, 'GET', '', '&restype=container&comp=list'),
      remove: await statusOf(address, 'DELETE', 'clip.mp4'),
      removeAll: await statusOf(address, 'DELETE', '', '&restype=container'),
      elsewhere: await statusOf(elsewhere, 'PUT', 'clip.mp4', '', 'x'),
    };
    expect(Object.values(statuses)).toEqual(Object.values(statuses).map(() => 403));
  });

  test('does not work before it starts or after it expires', async () => {
    const now = Date.now();
    const expired = await open('share-times', from(new Date(now - 2 * DAY_MS), DAY_MS));
    const early = await open('share-times', from(new Date(now + DAY_MS), DAY_MS));
    expect(await statusOf(expired, 'PUT', 'clip.mp4', '', 'x')).toBe(403);
    expect(await statusOf(early, 'PUT', 'clip.mp4', '', 'x')).toBe(403);
  });

  test('stops working when its container is removed', async () => {
    const address = await open('share-closed');
    const containers = new ShareContainers(await service());
    expect(await containers.remove('share-closed')).toBe(true);
    expect(await containers.remove('share-closed')).toBe(false);
    expect(await statusOf(address, 'PUT', 'clip.mp4', '', 'x')).toBe(404);
  });
});

test('an address signed by an identity requires TLS and states its times and permissions', async () => {
  const containers = new ShareContainers(byIdentity.service);
  await containers.create('share-signed');
  const times = from(new Date('2026-11-25T06:00:00Z'), 7 * DAY_MS);
  const { protocol, searchParams } = new URL(await containers.writeOnlyAddress('share-signed', times));
  expect(protocol).toBe('https:');
  expect(Object.fromEntries(searchParams)).toMatchObject({
    sr: 'c',
    sp: 'cw',
    spr: 'https',
    st: '2026-11-25T06:00:00Z',
    se: '2026-12-02T06:00:00Z',
    skoid: OBJECT_ID,
  });
});
