/**
 * How programs on one machine find the local stack of a project folder, and how it is made sure that there is only one.
 *
 * The stack holds a local socket and answers every connection with its card. On Linux the socket is abstract: the kernel
 * gives it up with the process, however that dies, so there is no stale pid file to mistake. Elsewhere it is a file, which
 * is removed when nobody answers behind it.
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
  /** What a client needs to reach the fleet: `FRAMEFLEET_*` variables. */
  environment: z.record(z.string(), z.string()),
});
export type StackCard = z.infer<typeof stackCard>;

const IS_ABSTRACT = process.platform === 'linux';

function socketAddress(folder: string): string {
  const key = createHash('sha256').update(path.resolve(folder)).digest('hex').slice(0, 16);
  return IS_ABSTRACT ? `\0framefleet-${key}` : path.join(tmpdir(), `framefleet-${key}.sock`);
}

/** Becomes the stack of this folder. Throws STACK_ALREADY_RUNNING. Close the server to give it up. */
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
        hint: 'Use it: `npm run enqueue video.mp4` finds it by itself. To start afresh, stop the other one first.',
        cause,
      },
    );
  }
  return server;
}

/** The card of the stack that runs for this folder, or undefined. */
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
