/**
 * Starts and stops child processes that do not outlive their parent.
 *
 * On Linux the kernel signals a child when its parent dies for any reason (`setpriv --pdeathsig`, util-linux). On other systems
 * a child notices the end of its parent only by a pipe or IPC channel from which it reads.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';

const SETPRIV = '/usr/bin/setpriv';
const KERNEL_TIES = process.platform === 'linux' && existsSync(SETPRIV);

/**
 * Like `child_process.spawn`, but the child receives a signal when this process dies: SIGTERM, or SIGKILL, which ends even a child
 * that is stopped. A missing program results in exit status 127 with setpriv, and in an 'error' event with code ENOENT without it: see
 * `isMissingProgram`.
 */
export function spawnTied(
  command: string,
  args: readonly string[],
  options: SpawnOptions & { readonly deathSignal?: 'TERM' | 'KILL' },
): ChildProcess {
  const { deathSignal = 'TERM' } = options;
  return KERNEL_TIES
    ? spawn(SETPRIV, ['--pdeathsig', deathSignal, '--', command, ...args], options)
    : spawn(command, [...args], options);
}

/**
 * Keep the memory of our programs small. By default V8's young generation grows to about 100 MB for objects that live as long
 * as a request, its old generation to twice the live size before a collection, and glibc keeps an arena per thread and returns
 * little of it. According to `npm run bench:memory`, these settings cost no time.
 */
export const NODE_FLAGS = ['--max-semi-space-size=4', '--heap-growing-percent=25'];
export const ALLOCATOR = { MALLOC_ARENA_MAX: '2' };

/** Starts one of our Node programs, tied, with an IPC channel. Its environment has only `env` and the allocator's setting. */
export function spawnNode(
  programPath: string,
  args: readonly string[],
  { env, ...options }: SpawnOptions & { readonly env: NodeJS.ProcessEnv },
): ChildProcess {
  return spawnTied(process.execPath, [...NODE_FLAGS, programPath, ...args], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    ...options,
    env: { ...ALLOCATOR, ...env },
  });
}

export interface ChildExit {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Resolves when the child has exited, was killed or could not be started. */
export async function waitForExit(child: ChildProcess): Promise<ChildExit> {
  if (child.exitCode === null && child.signalCode === null && child.pid !== undefined)
    await once(child, 'exit');
  return { status: child.exitCode, signal: child.signalCode };
}

/** Whether a start failed because the program does not exist. */
export function isMissingProgram({ status }: ChildExit, spawnErrno: string | undefined): boolean {
  return spawnErrno === 'ENOENT' || (KERNEL_TIES && status === 127);
}

/** Sends SIGTERM, and SIGKILL after the grace period. Resolves when the child has exited. */
export async function stopChild(
  child: ChildProcess,
  { graceMs }: { readonly graceMs: number },
): Promise<ChildExit> {
  const exit = waitForExit(child);
  child.kill('SIGTERM');
  const killTimer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  try {
    return await exit;
  } finally {
    clearTimeout(killTimer);
  }
}
