/**
 * Prepares this machine: installs the locked dependencies, ffmpeg, ffprobe and redis-server, and Prometheus and Chromium for the tests. The
 * user commands, `check`, `test` and `test:faults` run it first, on any Node from version 20 and before anything is installed, so
 * it is plain JavaScript that uses only built-in modules.
 *
 * If nothing is missing, it only reads two files and searches the PATH. It installs system packages with apt as root, or with sudo
 * after a confirmation on the terminal; otherwise it prints the command to run.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const NODE_MAJOR_MIN = 20;
/** EX_UNAVAILABLE in sysexits(3): a required program is missing. */
const EXIT_UNAVAILABLE = 69;
const EXIT_INTERRUPTED = 130;

/** Programs that only the tests need, installed for `npm test`. */
const TEST_PROGRAMS = {
  chromium: 'chromium',
  prometheus: 'prometheus',
  promtool: 'prometheus',
  openssl: 'openssl',
  'ssh-keygen': 'openssh-client',
};
/** Required programs and their Debian packages. */
const PROGRAMS = {
  ffmpeg: 'ffmpeg',
  ffprobe: 'ffmpeg',
  'redis-server': 'redis-server',
  ...(process.env['npm_lifecycle_event'] === 'pretest' ? TEST_PROGRAMS : {}),
};
/** Packages that install a systemd service with the same name. */
const SERVERS = new Set(['redis-server', 'prometheus']);
/** Exists if systemd runs this machine; see sd_booted(3). */
const SYSTEMD = '/run/systemd/system';

requireNode();
installDependencies();
linkNode();
await installPrograms();

function requireNode() {
  const [major] = process.versions.node.split('.');
  if (Number(major) >= NODE_MAJOR_MIN) return;
  fail(
    `Node ${process.versions.node} is too old. Version ${NODE_MAJOR_MIN} or later is required.`,
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
      'Cannot install the dependencies: npm ci failed. See the output above.',
      'Check your network connection, then run the command again.',
    );
}

/** npm 10 installs the locked Node but does not link it in node_modules/.bin, where npm scripts find it first. */
function linkNode() {
  const link = path.join(ROOT, 'node_modules', '.bin', 'node');
  const locked = path.join('..', `node-${process.platform}-${process.arch}`, 'bin', 'node');
  if (existsSync(link) || !existsSync(path.join(path.dirname(link), locked))) return;
  symlinkSync(locked, link);
}

/** Compares the lock file with npm's record of what it installed. Packages of other platforms may be missing there. */
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
  const installCommand = `${isRoot ? '' : 'sudo '}apt-get update && ${isRoot ? '' : 'sudo '}apt-get install -y ${packages.join(' ')}`;
  if (!isOnPath('apt-get')) {
    fail(
      `Required programs are not installed: ${missing.join(', ')}.`,
      `Install ${packages.join(', ')} with the package manager of your system.`,
    );
  }
  if (
    !isRoot &&
    !(await confirms(
      `Required programs are not installed: ${missing.join(', ')}. Install them with sudo apt-get?`,
    ))
  ) {
    fail(`Required programs are not installed: ${missing.join(', ')}.`, `Run: ${installCommand}`);
  }
  say(`Installing ${packages.join(' and ')} with apt…`);
  const asRoot = (command, ...args) =>
    run(isRoot ? command : 'sudo', isRoot ? args : [command, ...args]).status === 0;
  // RUNLEVEL=1 keeps the Debian packages from starting their services.
  const environment = ['DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1'];
  const apt = (...args) => asRoot('env', ...environment, 'apt-get', '-qq', '-o', 'Dpkg::Use-Pty=0', ...args);
  const isInstalled = apt('update') && apt('install', '-y', '--no-install-recommends', ...packages);
  if (!isInstalled || missing.some((program) => !isOnPath(program))) {
    fail('Cannot install the packages. See the output above.', `Run: ${installCommand}`);
  }
  // With systemd the services start anyway, so stop and disable them.
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

/** Returns false without a terminal, at the end of the input, and for any answer but yes. */
async function confirms(question) {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return false;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // readline reads Ctrl-C as a character, so no signal arrives.
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

/** Its output goes to standard error, because standard output belongs to the command that runs afterwards. */
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
