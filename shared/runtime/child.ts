/**
 * Child processes that cannot outlive their parent.
 *
 * On Linux the kernel sends a child its signal when the parent dies, however it dies (`setpriv --pdeathsig`, util-linux);
 * elsewhere a child is tied by whatever it reads from its parent: a pipe, or Node's IPC channel.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';

const SETPRIV = '/usr/bin/setpriv';
const KERNEL_TIES = process.platform === 'linux' && existsSync(SETPRIV);

/**
 * `child_process.spawn`, but the child gets SIGTERM when this process dies. An absent program shows as exit status 127
 * where setpriv is in between, and as an 'error' event of code ENOENT where it is not: see `isMissingProgram`.
 */
export function spawnTied(command: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  return KERNEL_TIES
    ? spawn(SETPRIV, ['--pdeathsig', 'TERM', '--', command, ...args], options)
    : spawn(command, [...args], options);
}

/**
 * Keeps a program of ours small and flat, whatever goes through it. Left alone, V8's young generation grows to some 100 MB for
 * garbage that lives as long as a request, its old generation to twice what is alive before it is looked through, and glibc
 * keeps an arena for each thread and gives little of it back. Measured with `npm run bench:memory`: it costs no time.
 */
const NODE_FLAGS = ['--max-semi-space-size=4', '--heap-growing-percent=25'];
const ALLOCATOR = { MALLOC_ARENA_MAX: '2' };

/** A Node program of ours, tied, with an IPC channel. It gets `env`, a word to the allocator, and nothing else of the environment. */
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

/** Resolves when the child has gone, whether it exited, was killed or could not be started. */
export async function exited(child: ChildProcess): Promise<ChildExit> {
  if (child.exitCode === null && child.signalCode === null && child.pid !== undefined)
    await once(child, 'exit');
  return { status: child.exitCode, signal: child.signalCode };
}

/** Whether a start failed because the program is not there. */
export function isMissingProgram({ status }: ChildExit, spawnErrno: string | undefined): boolean {
  return spawnErrno === 'ENOENT' || (KERNEL_TIES && status === 127);
}

/** SIGTERM, then SIGKILL when the grace is over. Returns once the child has gone. */
export async function stopChild(
  child: ChildProcess,
  { graceMs }: { readonly graceMs: number },
): Promise<ChildExit> {
  const gone = exited(child);
  child.kill('SIGTERM');
  const pull = setTimeout(() => child.kill('SIGKILL'), graceMs);
  try {
    return await gone;
  } finally {
    clearTimeout(pull);
  }
}
