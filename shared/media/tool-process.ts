/**
 * Runs a media program (ffmpeg or ffprobe) as a confined child process.
 *
 * These programs are written in C and parse untrusted bytes. So a run gets an argument array and never a shell, an empty
 * environment that holds no credential or address, and, on Linux, kernel limits on address space, CPU time and open files
 * (`prlimit`). `ffmpeg.ts` decides which formats and protocols it may use.
 *
 * The child is killed when this process dies (`spawnTied`) or when the signal aborts. `finished` settles once, and reports the
 * program's own failure rather than the broken pipe that it causes. A caller that requests a pipe must read or fill it.
 */
import type { ChildProcess } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';

import { type ChildExit, isMissingProgram, spawnTied } from '../runtime/child.ts';
import { PermanentError, errnoOf } from '../runtime/errors.ts';
import { rejectedDecoder } from './codecs.ts';
import { programFolders } from './config.ts';
import { StderrTail } from './stderr-tail.ts';

/** How many lines of stderr an error message shows. */
const LINES_IN_MESSAGE = 4;

const PRLIMIT = '/usr/bin/prlimit';
const KERNEL_LIMITS = process.platform === 'linux' && existsSync(PRLIMIT);

/**
 * Decoding 8K in 10 bits takes about 2 GiB with two threads and 6 GiB with sixteen, most of it reserved and never used. A file
 * that needs more fails at its allocation.
 */
const ADDRESS_SPACE_BYTES_MAX = 16 * 2 ** 30;
/** Inputs, outputs, pipes, and shared libraries while they load. */
const OPEN_FILES_MAX = 64;

export type PipeMode = 'none' | 'pipe';

export interface ToolLimits {
  /** Over all threads. Stops a decoder that loops without output. */
  readonly cpuSecondsMax: number;
  readonly addressSpaceBytesMax?: number;
}

export interface ToolRun<
  In extends PipeMode = PipeMode,
  Out extends PipeMode = PipeMode,
  Side extends PipeMode = PipeMode,
> {
  readonly program: string;
  readonly args: readonly string[];
  /** Completes "ffmpeg failed while …". */
  readonly activity: string;
  readonly stdin: In;
  readonly stdout: Out;
  /** Instead of `stdout`: an open file descriptor, of which the program gets a copy. */
  readonly stdoutDescriptor?: number;
  /** A second output: `pipe:3`. */
  readonly sideOutput?: Side;
  readonly limits: ToolLimits;
  readonly cwd?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ToolProcess<
  In extends PipeMode = PipeMode,
  Out extends PipeMode = PipeMode,
  Side extends PipeMode = PipeMode,
> {
  readonly stdin: In extends 'pipe' ? Writable : null;
  readonly stdout: Out extends 'pipe' ? Readable : null;
  readonly sideOutput: Side extends 'pipe' ? Readable : null;
  /**
   * Resolves when the program has exited with status 0 and its pipes are closed. Rejects with MEDIA_TOOL_FAILED,
   * PROGRAM_MISSING or the signal's reason. It may be awaited late or never: it never causes an unhandled rejection.
   */
  readonly finished: Promise<{ readonly warnings: readonly string[] }>;
}

export function startTool<In extends PipeMode, Out extends PipeMode, Side extends PipeMode = 'none'>(
  run: ToolRun<In, Out, Side>,
): ToolProcess<In, Out, Side> {
  run.signal?.throwIfAborted();
  const [command, args] = confinedCommand(run);
  const child = spawnTied(command, args, {
    stdio: [
      stdioOption(run.stdin),
      run.stdoutDescriptor ?? stdioOption(run.stdout),
      'pipe',
      ...(run.sideOutput === 'pipe' ? ['pipe' as const] : []),
    ],
    env: {},
    deathSignal: 'KILL',
    ...(run.cwd === undefined ? {} : { cwd: run.cwd }),
  });
  // A child that dies breaks its pipe. `finished` reports why it died, so EPIPE adds nothing.
  child.stdin?.on('error', () => {});
  const finished = waitForTool(child, run);
  finished.catch(() => {});
  // Node returns a stream for a requested pipe, and null or undefined otherwise.
  const sideOutput = child.stdio[3] ?? null;
  return { stdin: child.stdin, stdout: child.stdout, sideOutput, finished } as ToolProcess<In, Out, Side>;
}

/** Whether a media program failed for good: because of its input, its limits or the disk. */
export function isToolFailure(error: unknown): error is PermanentError {
  return error instanceof PermanentError && error.code === 'MEDIA_TOOL_FAILED';
}

/** The command line that runs the program within its limits. */
function confinedCommand({ program, args, limits }: ToolRun): readonly [string, readonly string[]] {
  const executable = executablePath(program);
  if (!KERNEL_LIMITS) return [executable, args];
  const { cpuSecondsMax, addressSpaceBytesMax = ADDRESS_SPACE_BYTES_MAX } = limits;
  const options = [
    `--as=${addressSpaceBytesMax}`,
    `--cpu=${Math.ceil(cpuSecondsMax)}`,
    `--nofile=${OPEN_FILES_MAX}`,
    '--core=0',
  ];
  return [PRLIMIT, [...options, '--', executable, ...args]];
}

/** The program's absolute path, since its environment has no PATH. If it is in no folder: its name, which fails to start. */
function executablePath(program: string): string {
  const found = programFolders()
    .map((folder) => path.join(folder, program))
    .find((candidate) => isExecutable(candidate));
  return found ?? program;
}

function isExecutable(candidate: string): boolean {
  try {
    accessSync(candidate, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function waitForTool(
  child: ChildProcess,
  run: ToolRun,
): Promise<{ readonly warnings: readonly string[] }> {
  const tail = new StderrTail();
  child.stderr?.setEncoding('utf8').on('data', (text: string) => tail.push(text));
  const kill = () => {
    child.kill('SIGKILL');
    // Without a reader, an unread pipe would delay 'close'.
    const reason = asError(run.signal?.reason);
    child.stdout?.destroy(reason);
    child.stdio[3]?.destroy(reason);
  };
  run.signal?.addEventListener('abort', kill, { once: true });
  try {
    const end = await untilClosed(child);
    const failure = toolFailure(run, end, tail.lines());
    // If the signal killed it, the signal's reason is reported. If it failed just before, its own failure is.
    if (failure !== undefined && !(run.signal?.aborted === true && end.exit.signal === 'SIGKILL'))
      throw failure;
    run.signal?.throwIfAborted();
    // ffmpeg prints a line for each track whose decoder it may not use, even if it does not need that decoder.
    return { warnings: tail.lines().filter((line) => rejectedDecoder(line) === undefined) };
  } finally {
    run.signal?.removeEventListener('abort', kill);
  }
}

interface ToolEnd {
  readonly exit: ChildExit;
  /** Set if the program could not be started. */
  readonly spawnErrno: string | undefined;
}

/** Waits for 'close' rather than 'exit', because by then all of stderr has been read. */
function untilClosed(child: ChildProcess): Promise<ToolEnd> {
  return new Promise((resolve) => {
    let spawnErrno: string | undefined;
    child.on('error', (error) => {
      spawnErrno ??= errnoOf(error) ?? error.name;
    });
    child.on('close', (status, signal) => resolve({ exit: { status, signal }, spawnErrno }));
  });
}

function toolFailure(
  run: ToolRun,
  { exit, spawnErrno }: ToolEnd,
  lines: readonly string[],
): PermanentError | undefined {
  if (isMissingProgram(exit, spawnErrno)) {
    return new PermanentError(
      'PROGRAM_MISSING',
      `The program ${run.program} is not installed. It is needed for ${run.activity}.`,
      { hint: 'Install it: apt-get install ffmpeg' },
    );
  }
  if (spawnErrno === undefined && exit.status === 0) return undefined;
  if (exit.signal === 'SIGKILL' || exit.signal === 'SIGXCPU') return killedError(run);
  const how = spawnErrno ?? exit.signal ?? `status ${String(exit.status)}`;
  const output =
    lines.length === 0 ? 'it printed no error message' : lines.slice(-LINES_IN_MESSAGE).join(' | ');
  return new PermanentError(
    'MEDIA_TOOL_FAILED',
    `${run.program} failed (${how}) while ${run.activity}: ${output}`,
    {
      hint: 'Check that the source plays and that the disk is not full. If both are fine, report this message.',
    },
  );
}

function killedError({ program, activity, limits }: ToolRun): PermanentError {
  return new PermanentError(
    'MEDIA_TOOL_FAILED',
    `${program} was killed while ${activity}: it used up its ${Math.ceil(limits.cpuSecondsMax)} s of CPU time, or the machine ran out of memory.`,
    {
      hint: 'Check that the source plays in a video player. If it does, free memory or split the source into parts.',
    },
  );
}

function stdioOption(mode: PipeMode): 'ignore' | 'pipe' {
  return mode === 'pipe' ? 'pipe' : 'ignore';
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
