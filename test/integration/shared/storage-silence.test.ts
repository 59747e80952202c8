/** Storage that accepts connections and never responds. */
import { type AddressInfo, type Socket, createServer } from 'node:net';

import { expect, test } from 'vitest';

import { openBlobStore } from '../../../shared/azure/blob-store.ts';
import { BRISK, storageAccount } from '../../../shared/azure/credentials.ts';
import { openWorkQueue } from '../../../shared/azure/work-queue.ts';

test('a brisk call to storage that never responds fails after its tries', async () => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const account = storageAccount(
    `DefaultEndpointsProtocol=http;AccountName=account;AccountKey=AAAA;BlobEndpoint=http://127.0.0.1:${port}/account;QueueEndpoint=http://127.0.0.1:${port}/account`,
  );
  const policy = { ...BRISK, tryTimeoutMs: 1_000 };
  const blobs = await openBlobStore({ media: account, system: account }, policy);
  const queue = await openWorkQueue(account, 'frame-batches', policy);
  const message = { messageId: 'm', popReceipt: 'r', text: 'dGV4dA==' };
  await Promise.all([
    expect(blobs.stat('incoming', 'reachable')).rejects.toBeInstanceOf(Error),
    expect(queue.receive({ visibilityTimeoutSeconds: 30 })).rejects.toBeInstanceOf(Error),
    expect(queue.update(message, { visibilityTimeoutSeconds: 30 })).rejects.toBeInstanceOf(Error),
    expect(queue.remove(message)).rejects.toBeInstanceOf(Error),
  ]);
  for (const socket of sockets) socket.destroy();
  server.close();
}, 20_000);
