/** Checks this machine for the local fleet: programs, ports, disk, memory and cores. */
import { execFile } from 'node:child_process';
import { access, constants, statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import type { Finding } from '../../../shared/contract/finding.ts';
import { errnoOf } from '../../../shared/runtime/errors.ts';
import type { Check } from '../check.ts';
import { judgeMachine } from './judge-machine.ts';
import { judgePorts } from './judge-ports.ts';
import { judgePrograms } from './judge-programs.ts';

const run = promisify(execFile);
const PROGRAM_MS = 10_000;
/** The ports that docker-compose.yml publishes; a test compares the two. */
export const COMPOSE_PORTS = [10_000, 10_001, 8081, 8082, 8090, 9090, 3000];

/** Programs are searched on the PATH of `environment`. */
export function machineChecks(localFolder: string, environment: NodeJS.ProcessEnv): Check[] {
  return [
    { topic: 'programs', run: () => checkPrograms(environment) },
    { topic: 'ports', run: () => checkPorts(environment) },
    { topic: 'machine', run: () => checkHardware(localFolder) },
  ];
}

async function checkPrograms(environment: NodeJS.ProcessEnv): Promise<Finding[]> {
  const output = (program: string, ...args: string[]) => outputOf(program, args, environment);
  const isLinux = process.platform === 'linux';
  const [ffmpegVersion, ffmpegEncoders, ffprobeVersion, redisVersion, setprivVersion] = await Promise.all([
    output('ffmpeg', '-version'),
    output('ffmpeg', '-hide_banner', '-encoders'),
    output('ffprobe', '-version'),
    output('redis-server', '--version'),
    isLinux ? output('setpriv', '--version') : undefined,
  ]);
  return judgePrograms({
    ffmpegVersion,
    ffmpegEncoders,
    ffprobeVersion,
    redisVersion,
    setprivVersion,
    nodeVersion: process.versions.node,
  });
}

async function checkPorts(environment: NodeJS.ProcessEnv): Promise<Finding[]> {
  const loopbackError = await tryPort(0);
  const hasDocker = (await outputOf('docker', ['--version'], environment)) !== null;
  return judgePorts({ loopbackError, composeTaken: hasDocker ? await takenPorts(COMPOSE_PORTS) : null });
}

async function takenPorts(ports: readonly number[]): Promise<number[]> {
  const tried = await Promise.all(ports.map(async (port) => ({ port, error: await tryPort(port) })));
  return tried.filter(({ error }) => error !== null).map(({ port }) => port);
}

async function checkHardware(localFolder: string): Promise<Finding[]> {
  const folder = await nearestExisting(localFolder);
  const { bavail, bsize } = await statfs(folder);
  return judgeMachine({
    cores: availableParallelism(),
    // In a container: what its memory limit leaves.
    memoryFreeBytes: process.availableMemory(),
    diskFreeBytes: bavail * bsize,
    folder: localFolder,
    isWritable: await isWritable(folder),
  });
}

/** The standard output of a program; null if it is missing or fails. */
async function outputOf(
  program: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<string | null> {
  try {
    return (await run(program, args, { env: environment, timeout: PROGRAM_MS })).stdout;
  } catch {
    return null;
  }
}

/** Listens on the port for a moment. Null on success, else the reason. Port 0 means any free port. */
function tryPort(port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(errnoOf(error) ?? error.message));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(null)));
  });
}

/** The folder itself, or its nearest parent that exists. */
async function nearestExisting(folder: string): Promise<string> {
  try {
    await access(folder, constants.F_OK);
    return folder;
  } catch {
    return nearestExisting(path.dirname(folder));
  }
}

async function isWritable(folder: string): Promise<boolean> {
  try {
    await access(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
