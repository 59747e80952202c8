/** Looks at this machine, for the local fleet. */
import { execFile } from 'node:child_process';
import { access, constants, statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { errnoOf } from '../../../shared/runtime/errors.ts';
import type { Look } from '../look.ts';
import { judgeMachine } from './judge-machine.ts';
import { judgePorts } from './judge-ports.ts';
import { judgePrograms } from './judge-programs.ts';

const run = promisify(execFile);
const PROGRAM_MS = 10_000;
/** As docker-compose.yml publishes them; a test holds the two together. */
export const COMPOSE_PORTS = [10_000, 10_001, 8081, 8082, 9090, 3000];

/** `environment` is that of the command: programs are looked for along its PATH. */
export function machineLooks({
  localFolder,
  environment,
}: {
  readonly localFolder: string;
  readonly environment: NodeJS.ProcessEnv;
}): Look[] {
  const printed = (program: string, args: readonly string[]) => printedBy(program, args, environment);
  return [
    {
      topic: 'programs',
      find: async () => {
        const isLinux = process.platform === 'linux';
        const [ffmpegVersion, ffmpegEncoders, ffprobeVersion, redisVersion, setprivVersion] =
          await Promise.all([
            printed('ffmpeg', ['-version']),
            printed('ffmpeg', ['-hide_banner', '-encoders']),
            printed('ffprobe', ['-version']),
            printed('redis-server', ['--version']),
            isLinux ? printed('setpriv', ['--version']) : undefined,
          ]);
        const nodeVersion = process.versions.node;
        return judgePrograms({
          ffmpegVersion,
          ffmpegEncoders,
          ffprobeVersion,
          redisVersion,
          setprivVersion,
          nodeVersion,
        });
      },
    },
    {
      topic: 'ports',
      find: async () => {
        const loopback = await tryPort(0);
        const hasDocker = (await printed('docker', ['--version'])) !== null;
        const taken = hasDocker
          ? (
              await Promise.all(COMPOSE_PORTS.map(async (port) => ({ port, trouble: await tryPort(port) })))
            ).filter(({ trouble }) => trouble !== null)
          : null;
        return judgePorts({
          loopbackTrouble: loopback,
          composeTaken: taken?.map(({ port }) => port) ?? null,
        });
      },
    },
    {
      topic: 'machine',
      find: async () => {
        const place = await existing(localFolder);
        const { bavail, bsize } = await statfs(place);
        return judgeMachine({
          cores: availableParallelism(),
          // Of a container: what its limit leaves.
          memoryFreeBytes: process.availableMemory(),
          diskFreeBytes: bavail * bsize,
          folder: localFolder,
          isWritable: await isWritable(place),
        });
      },
    },
  ];
}

/** What a program prints; null where it is not there or fails. */
async function printedBy(
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

/** Null where one may listen on it; else why not. 0 is any free port. */
function tryPort(port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(errnoOf(error) ?? error.message));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(null)));
  });
}

/** The folder, or the nearest above it that is there. */
async function existing(folder: string): Promise<string> {
  try {
    await access(folder, constants.F_OK);
    return folder;
  } catch {
    return existing(path.dirname(folder));
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
