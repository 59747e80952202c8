/**
 * Whether the service of this container is alive: exit status 0 or 1, for Docker. Which port it serves on is the first argument;
 * without one it took a free port, and is looked for among what process 1 listens on. Plain JavaScript: it runs every half minute.
 */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

const ANSWER_MS = 5_000;
/** A state in `/proc/net/tcp`. */
const LISTENING = '0A';

const [port = ''] = process.argv.slice(2);
const isGiven = port !== '' && port !== '0';
process.exitCode = (await isAlive(isGiven ? Number(port) : listeningPort())) ? 0 : 1;

async function isAlive(one) {
  if (one === undefined) return false;
  const url = `http://127.0.0.1:${one}/health/live`;
  return fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) }).then(
    ({ ok }) => ok,
    () => false,
  );
}

/** Of process 1. On the host's network others listen, too: its open files say which socket is its own. */
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

/** A file may be closed while we look. */
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
