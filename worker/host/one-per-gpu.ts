/**
 * One worker per GPU of a machine: two of one name would beat one heart and share one GPU's memory.
 *
 * On Linux the worker holds an abstract socket of its name for life: the kernel gives it up with the process, however that
 * dies, so nothing is left to mistake for a worker. Such names belong to a network namespace: containers see each other's only
 * where they share the host's. Elsewhere nothing is held.
 */
import { createServer } from 'node:net';

import { PermanentError, errnoOf } from '../../shared/runtime/errors.ts';

const IS_ABSTRACT = process.platform === 'linux';
/** Of `sun_path`, with the leading zero byte. */
const ADDRESS_BYTES_MAX = 107;

/** Becomes the one worker of this id. Throws CONFIG_INVALID where another is. Dispose of it to give the name up. */
export async function holdWorkerId(workerId: string): Promise<Disposable> {
  if (!IS_ABSTRACT) return { [Symbol.dispose]: () => undefined };
  const address = `\0framefleet-worker-${workerId}`;
  if (Buffer.byteLength(address) > ADDRESS_BYTES_MAX)
    throw new RangeError(
      `expected a worker id that fits a socket's name, received ${JSON.stringify(workerId)}`,
    );
  // Nobody has anything to ask here.
  const server = createServer((socket) => socket.destroy());
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(address, resolve);
  try {
    await promise;
  } catch (cause) {
    if (errnoOf(cause) !== 'EADDRINUSE') throw cause;
    throw new PermanentError('CONFIG_INVALID', `A worker named ${workerId} runs on this machine already.`, {
      hint: 'Set FRAMEFLEET_GPU to another GPU, or FRAMEFLEET_VM_ID to another name, or stop the other worker first.',
      cause,
    });
  }
  server.unref();
  return { [Symbol.dispose]: () => server.close() };
}
