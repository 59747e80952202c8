/**
 * Makes this machine ready: the locked dependencies, ffmpeg, ffprobe and redis-server; for the tests Prometheus, too. Runs before
 * the README's commands, on any Node from 20, before anything is installed: so plain JavaScript on Node's own modules.
 *
 * Where everything is there it reads two files and looks along the PATH. System packages are installed with apt by root, or
 * by whoever says yes at a terminal; everybody else is told exactly what to type.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const NODE_MAJOR_MIN = 20;
/** As in sysexits(3): something that is needed is not there. */
const EXIT_UNAVAILABLE = 69;
const EXIT_INTERRUPTED = 130;

/** What only the tests run: `npm test` is what this runs before then. */
const TEST_PROGRAMS = {
  prometheus: 'prometheus',
  promtool: 'prometheus',
  openssl: 'openssl',
  'ssh-keygen': 'openssh-client',
};
/** Programs we run, and the Debian packages they are in. */
const PROGRAMS = {
  ffmpeg: 'ffmpeg',
  ffprobe: 'ffmpeg',
  'redis-server': 'redis-server',
  ...(process.env['npm_lifecycle_event'] === 'pretest' ? TEST_PROGRAMS : {}),
};
/** Packages that come with a service of their own name. */
const SERVERS = new Set(['redis-server', 'prometheus']);
/** There while systemd runs this machine, as sd_booted(3) has it. */
const SYSTEMD = '/run/systemd/system';

requireNode();
installDependencies();
linkNode();
await installPrograms();

function requireNode() {
  const [major] = process.versions.node.split('.');
  if (Number(major) >= NODE_MAJOR_MIN) return;
  fail(
    `Node ${process.versions.node} is too old: ${NODE_MAJOR_MIN} or newer is needed.`,
    'Install a current Node, for example from https://nodejs.org.',
  );
}

function installDependencies() {
  if (dependenciesAreCurrent()) return;
  say('Installing the locked dependencies (npm ci)…');
  const npm = process.env['npm_execpath'];
  const [command, args] = npm === undefined ? ['npm', []] : [process.execPath, [npm]];
  const { status } = run(command, [...args, 'ci', '--no-audit', '--no-fund', '--loglevel=error']);
  if (status !== 0)
    fail(
      'The dependencies could not be installed: npm ci failed, for the reason above.',
      'Check the network, then run the command again.',
    );
}

/** npm 10 installs the locked Node, but does not put it among the programs that scripts find first. */
function linkNode() {
  const link = path.join(ROOT, 'node_modules', '.bin', 'node');
  const locked = path.join('..', `node-${process.platform}-${process.arch}`, 'bin', 'node');
  if (existsSync(link) || !existsSync(path.join(path.dirname(link), locked))) return;
  symlinkSync(locked, link);
}

/** npm keeps a copy of what it installed: every package of the lock file must be in it, but for those of other platforms. */
function dependenciesAreCurrent() {
  const wanted = readLock('package-lock.json');
  const installed = readLock(path.join('node_modules', '.package-lock.json'));
  if (wanted === undefined || installed === undefined) return false;
  return Object.entries(wanted).every(([place, { version, integrity, optional, peer }]) => {
    if (place === '') return true;
    const found = installed[place];
    if (found === undefined) return optional === true || peer === true;
    return found.version === version && found.integrity === integrity;
  });
}

function readLock(file) {
  try {
    return JSON.parse(readFileSync(path.join(ROOT, file), 'utf8')).packages;
  } catch {
    return undefined;
  }
}

async function installPrograms() {
  const missing = Object.keys(PROGRAMS).filter((program) => !isOnPath(program));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((program) => PROGRAMS[program]))];
  const isRoot = process.getuid?.() === 0;
  const byHand = `${isRoot ? '' : 'sudo '}apt-get update && ${isRoot ? '' : 'sudo '}apt-get install -y ${packages.join(' ')}`;
  if (!isOnPath('apt-get')) {
    fail(
      `These programs are needed and not here: ${missing.join(', ')}.`,
      `Install ${packages.join(', ')} with the package manager of this system.`,
    );
  }
  if (!isRoot && !(await agrees(`${missing.join(', ')} must be installed. Do it now with sudo apt-get?`))) {
    fail(`These programs are needed and not here: ${missing.join(', ')}.`, `Type: ${byHand}`);
  }
  say(`Installing ${packages.join(' and ')} with apt…`);
  const asRoot = (command, ...args) =>
    run(isRoot ? command : 'sudo', isRoot ? args : [command, ...args]).status === 0;
  // RUNLEVEL=1: Debian's packages would start servers of their own, which nobody asked for.
  const environment = ['DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1'];
  const apt = (...args) => asRoot('env', ...environment, 'apt-get', '-qq', '-o', 'Dpkg::Use-Pty=0', ...args);
  const isInstalled = apt('update') && apt('install', '-y', '--no-install-recommends', ...packages);
  if (!isInstalled || missing.some((program) => !isOnPath(program))) {
    fail('The packages could not be installed, for the reason above.', `Type: ${byHand}`);
  }
  // Where systemd runs, it starts them all the same.
  const servers = packages.filter((name) => SERVERS.has(name));
  if (servers.length > 0 && existsSync(SYSTEMD))
    asRoot('systemctl', 'disable', '--now', '--quiet', ...servers);
}

function isOnPath(program) {
  return (process.env['PATH'] ?? '').split(path.delimiter).some((folder) => {
    try {
      accessSync(path.join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Asked on a terminal only; anything but yes means no, and so does the end of the input. */
async function agrees(question) {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return false;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // While it asks, Ctrl-C is a character that it reads, and no signal.
  terminal.once('SIGINT', () => {
    terminal.close();
    say('\nInterrupted.');
    process.exit(EXIT_INTERRUPTED);
  });
  const ended = new Promise((resolve) => terminal.once('close', () => resolve('')));
  const answer = await Promise.race([terminal.question(`${question} [y/N] `), ended]);
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
}

/** Its output goes to standard error: standard output belongs to the command that comes after. */
function run(command, args) {
  return spawnSync(command, args, { cwd: ROOT, stdio: ['ignore', process.stderr, process.stderr] });
}

function say(sentence) {
  process.stderr.write(`${sentence}\n`);
}

function fail(what, next) {
  say(`${what}\n${next}`);
  process.exit(EXIT_UNAVAILABLE);
}
