/**
 * Allows one worker per GPU of an instance: two workers with one id would share a heartbeat and the GPU's memory.
 *
 * On Linux the worker holds an abstract socket with its id. The kernel releases it with the process, however that dies, so no
 * stale lock remains. Such names belong to a network namespace: containers see each other's names only if they share the host's
 * network. On other systems nothing is held.
 */
import { createServer } from 'node:net';

import { PermanentError, errnoOf } from '../../shared/runtime/errors.ts';

const IS_ABSTRACT = process.platform === 'linux';
/** Size of `sun_path` without its last byte, including the leading zero byte. */
const ADDRESS_BYTES_MAX = 107;

/** Claims the worker id. Throws CONFIG_INVALID if another worker has it. Dispose of the result to release the id. */
export async function holdWorkerId(workerId: string): Promise<Disposable> {
  if (!IS_ABSTRACT) return { [Symbol.dispose]: () => undefined };
  const address = `\0framefleet-worker-${workerId}`;
  if (Buffer.byteLength(address) > ADDRESS_BYTES_MAX)
    throw new RangeError(
      `expected a worker id that fits the name of a socket, received ${JSON.stringify(workerId)}`,
    );
  // The socket is only a lock: it serves no requests.
  const server = createServer((socket) => socket.destroy());
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(address, resolve);
  try {
    await promise;
  } catch (cause) {
    if (errnoOf(cause) !== 'EADDRINUSE') throw cause;
    throw new PermanentError(
      'CONFIG_INVALID',
      `A worker named ${workerId} is already running on this machine.`,
      {
        hint: 'Set FRAMEFLEET_GPU to another GPU or FRAMEFLEET_VM_ID to another name, or stop the other worker.',
        cause,
      },
    );
  }
  server.unref();
  return { [Symbol.dispose]: () => server.close() };
}
