/**
 * Docker health check: exits with status 0 if the service of this container is alive, else 1. The first argument is its HTTP port;
 * without one it uses the port on which process 1 listens. Plain JavaScript, because it runs every 30 s and must start fast.
 */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

const ANSWER_MS = 5_000;
/** The LISTEN state in `/proc/net/tcp`. */
const LISTENING = '0A';

const [port = ''] = process.argv.slice(2);
const isGiven = port !== '' && port !== '0';
process.exitCode = (await isAlive(isGiven ? Number(port) : listeningPort())) ? 0 : 1;

async function isAlive(servicePort) {
  if (servicePort === undefined) return false;
  const url = `http://127.0.0.1:${servicePort}/health/live`;
  return fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) }).then(
    ({ ok }) => ok,
    () => false,
  );
}

/** The port of process 1. With host networking the table lists all programs, so compare with the sockets that process 1 has open. */
function listeningPort() {
  const files = readdirSync('/proc/1/fd').map((file) => linkOf(`/proc/1/fd/${file}`));
  const own = new Set(files.flatMap((file) => /^socket:\[(\d+)\]$/.exec(file)?.[1] ?? []));
  const rows = ['tcp', 'tcp6'].flatMap((table) => linesOf(`/proc/1/net/${table}`).slice(1));
  for (const row of rows) {
    const [, local = '', , state, , , , , , inode = ''] = row.trim().split(/\s+/);
    if (state === LISTENING && own.has(inode)) return Number.parseInt(local.split(':')[1] ?? '', 16);
  }
  return undefined;
}

/** A file may be closed in the meantime. */
function linkOf(file) {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}

function linesOf(file) {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n');
  } catch {
    return [];
  }
}
