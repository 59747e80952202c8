/** What an address can do and cannot, signed by a key and signed by an identity: asked of the service with plain HTTP. */
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

/** What the service answers to whoever has only this address. */
async function ask(
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

describe.each(['a key', 'an identity'] as const)('an address that is signed by %s', (signer) => {
  const service = async () => (signer === 'a key' ? byKey.accounts.media.blobs(PATIENT) : byIdentity.service);
  const open = async (container: `share-${string}`, times = from(new Date(Date.now() - 60_000), DAY_MS)) => {
    const containers = new ShareContainers(await service());
    await containers.create(container);
    return containers.writeOnlyAddress(container, times);
  };

  test('writes, in one piece or in blocks, and again', async () => {
    const address = await open('share-writer');
    expect(await ask(address, 'PUT', 'folder/clip.mp4', '', 'the video')).toBe(201);
    expect(await ask(address, 'PUT', 'folder/clip.mp4', '', 'the video, mended')).toBe(201);
    const id = encodeURIComponent(Buffer.from('1').toString('base64'));
    expect(await ask(address, 'PUT', 'big.mp4', `&comp=block&blockid=${id}`, 'a block')).toBe(201);
    const list = `<?xml version="1.0"?><BlockList><Latest>${decodeURIComponent(id)}</Latest></BlockList>`;
    expect(await ask(address, 'PUT', 'big.mp4', '&comp=blocklist', list)).toBe(201);
    const there = (await service()).getContainerClient('share-writer');
    expect(String(await there.getBlobClient('big.mp4').downloadToBuffer())).toBe('a block');
    expect(String(await there.getBlobClient('folder/clip.mp4').downloadToBuffer())).toBe('the video, mended');
  });

  test('does nothing else: no reading, no listing, no removing, and nothing in another container', async () => {
    const address = await open('share-only-writer');
    expect(await ask(address, 'PUT', 'clip.mp4', '', 'x')).toBe(201);
    await new ShareContainers(await service()).create('share-neighbour');
    const elsewhere = address.replace('share-only-writer', 'share-neighbour');
    const asked = {
      get: await ask(address, 'GET', 'clip.mp4'),
      head: await ask(address, 'HEAD', 'clip.mp4'),
      list: await ask(address, 'GET', '', '&restype=container&comp=list'),
      remove: await ask(address, 'DELETE', 'clip.mp4'),
      removeAll: await ask(address, 'DELETE', '', '&restype=container'),
      elsewhere: await ask(elsewhere, 'PUT', 'clip.mp4', '', 'x'),
    };
    expect(Object.values(asked)).toEqual(Object.values(asked).map(() => 403));
  });

  test('works neither before nor after its time', async () => {
    const now = Date.now();
    const over = await open('share-times', from(new Date(now - 2 * DAY_MS), DAY_MS));
    const early = await open('share-times', from(new Date(now + DAY_MS), DAY_MS));
    expect(await ask(over, 'PUT', 'clip.mp4', '', 'x')).toBe(403);
    expect(await ask(early, 'PUT', 'clip.mp4', '', 'x')).toBe(403);
  });

  test('stops working with its container', async () => {
    const address = await open('share-closed');
    const containers = new ShareContainers(await service());
    expect(await containers.remove('share-closed')).toBe(true);
    expect(await containers.remove('share-closed')).toBe(false);
    expect(await ask(address, 'PUT', 'clip.mp4', '', 'x')).toBe(404);
  });
});

test('an identity signs for itself, over TLS only, with times and rights in the open', async () => {
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
