/**
 * Finds the local stack of a project folder, and guarantees that there is at most one.
 *
 * The stack listens on a local socket and answers every connection with its card. On Linux the socket is abstract: the kernel
 * removes it when the process ends, however it ends, so there is no stale pid file. Elsewhere the socket is a file, which is
 * removed if no process answers on it.
 */
import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { type Server, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';

import { z } from 'zod';

import { PermanentError, errnoOf } from './errors.ts';

const stackCard = z.object({
  pid: z.int(),
  /** The `FRAMEFLEET_*` variables that a client needs to reach the fleet. */
  environment: z.record(z.string(), z.string()),
});
export type StackCard = z.infer<typeof stackCard>;

const IS_ABSTRACT = process.platform === 'linux';

function socketAddress(folder: string): string {
  const key = createHash('sha256').update(path.resolve(folder)).digest('hex').slice(0, 16);
  return IS_ABSTRACT ? `\0framefleet-${key}` : path.join(tmpdir(), `framefleet-${key}.sock`);
}

/** Makes this process the stack of the folder. Close the server to end that. Throws STACK_ALREADY_RUNNING. */
export async function holdRendezvous(folder: string, card: () => StackCard): Promise<Server> {
  const address = socketAddress(folder);
  if (!IS_ABSTRACT && (await findStack(folder)) === undefined) await rm(address, { force: true });
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.end(JSON.stringify(card()));
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(address, resolve);
  try {
    await promise;
  } catch (cause) {
    if (errnoOf(cause) !== 'EADDRINUSE') throw cause;
    const other = await findStack(folder);
    throw new PermanentError(
      'STACK_ALREADY_RUNNING',
      `The local fleet of this folder is already running${other === undefined ? '' : ` (process ${other.pid})`}.`,
      {
        hint: '`npm run enqueue video.mp4` uses it. To start another one, stop it first.',
        cause,
      },
    );
  }
  return server;
}

/** The card of the stack that runs for this folder; undefined if none runs. */
export async function findStack(folder: string): Promise<StackCard | undefined> {
  try {
    const socket = connect(socketAddress(folder));
    socket.setTimeout(5_000, () => socket.destroy(new Error('no answer')));
    const parsed = stackCard.safeParse(JSON.parse(await text(socket)));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
