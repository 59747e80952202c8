/** Runs the commands of the project as a user does: as processes, with their output and exit status. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

import { ALLOCATOR, NODE_FLAGS } from '../../shared/runtime/child.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface CommandEnd {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCommand {
  readonly child: ChildProcess;
  readonly end: Promise<CommandEnd>;
  /** Standard output and standard error so far. */
  heard(): string;
  /** Resolves when the output contains this text; rejects if the command ends without it. */
  said(part: string): Promise<void>;
}

export interface CommandOptions {
  readonly localFolder: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** The current folder of the command; the project's folder by default. */
  readonly currentFolder?: string;
}

export function enqueue(args: readonly string[], options: CommandOptions): RunningCommand {
  return start('producer/cli/enqueue.ts', args, options);
}

export function estimate(args: readonly string[], options: CommandOptions): RunningCommand {
  return start('producer/cli/estimate.ts', args, options);
}

export function scale(args: readonly string[], options: CommandOptions): RunningCommand {
  return start('scaler/cli/scale.ts', args, options);
}

export function explain(args: readonly string[], options: CommandOptions): RunningCommand {
  return start('scaler/cli/explain.ts', args, options);
}

export function poison(args: readonly string[], options: CommandOptions): RunningCommand {
  return start('producer/cli/poison.ts', args, options);
}

export function fetchResult(args: readonly string[], options: CommandOptions): RunningCommand {
  return start('producer/cli/fetch.ts', args, options);
}

export function share(args: readonly string[], options: CommandOptions): RunningCommand {
  return start('producer/cli/share.ts', args, options);
}

export function cap(args: readonly string[], options: CommandOptions): RunningCommand {
  return start('producer/cli/cap.ts', args, options);
}

export function verify(args: readonly string[], options: CommandOptions): RunningCommand {
  return start('producer/cli/verify.ts', args, options);
}

const LOOK_VERBS = new Set(['jobs', 'status', 'watch', 'logs']);

/** A command that shows or steers jobs, by its name. */
export function jobCommand(args: readonly string[], options: CommandOptions): RunningCommand {
  const program = LOOK_VERBS.has(args[0] ?? '') ? 'jobs' : 'job-control';
  return start(`producer/cli/${program}.ts`, args, options);
}

export function model(args: readonly string[], options: CommandOptions): RunningCommand {
  return start('worker/cli/model.ts', args, options);
}

export function doctor(args: readonly string[], options: CommandOptions): RunningCommand {
  return start('infra/doctor/main.ts', args, options);
}

export function startStackCommand(options: CommandOptions): RunningCommand {
  return start('infra/local/main.ts', [], options);
}

/** The service of a room, with only the given `FRAMEFLEET_*` variables, and with the memory settings that it has everywhere. */
export function startService(
  room: 'producer' | 'scaler' | 'worker',
  options: CommandOptions,
): RunningCommand {
  return run([process.execPath, ...NODE_FLAGS, `${ROOT}${room}/main.ts`], {
    ...options,
    environment: { ...ALLOCATOR, ...options.environment },
  });
}

/** Runs `framefleet …`. `program` can be a link to it. */
export function framefleet(
  args: readonly string[],
  options: CommandOptions,
  program = `${ROOT}infra/bin/framefleet`,
): RunningCommand {
  return run([program, ...args], options);
}

/** Runs `npm run …`. */
export function npmRun(args: readonly string[], options: CommandOptions): RunningCommand {
  return run(['npm', 'run', '--silent', ...args], options);
}

function start(program: string, args: readonly string[], options: CommandOptions): RunningCommand {
  return run([process.execPath, `${ROOT}${program}`, ...args], options);
}

function run(
  [command = '', ...args]: readonly string[],
  { localFolder, environment = {}, currentFolder = ROOT }: CommandOptions,
): RunningCommand {
  const child = spawn(command, args, {
    cwd: currentFolder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
      FRAMEFLEET_LOCAL_FOLDER: localFolder,
      ...environment,
    },
  });
  let heard = '';
  child.stdout.on('data', (chunk: Buffer) => (heard += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (heard += chunk.toString()));
  const end = Promise.all([once(child, 'exit'), text(child.stdout), text(child.stderr)]).then(
    ([[status, signal], stdout, stderr]) => ({
      status: status as number | null,
      signal: signal as NodeJS.Signals | null,
      stdout,
      stderr,
    }),
  );
  const said = (part: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (heard.includes(part)) resolve();
      };
      look();
      child.stdout.on('data', look);
      child.stderr.on('data', look);
      child.once('exit', () =>
        reject(new Error(`the command ended without printing ${JSON.stringify(part)}: ${heard}`)),
      );
    });
  return { child, end, heard: () => heard, said };
}
