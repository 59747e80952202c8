/**
 * One run of a media program (ffmpeg, ffprobe) as a child process that is confined.
 *
 * These programs parse bytes from strangers, in C. So a run gets an argv array and never a shell; an empty environment, so
 * that no credential or address of ours is in it; and, on Linux, limits on its address space, its processor time and its
 * open files, which the kernel enforces (`prlimit`). Which formats and protocols it may use is in `ffmpeg.ts`.
 *
 * The child dies with us (`spawnTied`), and at once when the signal aborts. Its stderr is held in bounded memory. `finished`
 * settles once, and the program's own failure is preferred to the broken pipe that it causes. A caller that asks for a pipe
 * must read or fill it, or the child waits forever.
 */
import type { ChildProcess } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';

import { type ChildExit, isMissingProgram, spawnTied } from '../runtime/child.ts';
import { PermanentError, errnoOf } from '../runtime/errors.ts';
import { notAllowedDecoder } from './codecs.ts';
import { programFolders } from './config.ts';
import { StderrTail } from './stderr-tail.ts';

/** How many stderr lines an error's message shows; the others stay in the warnings. */
const LINES_IN_MESSAGE = 4;

const PRLIMIT = '/usr/bin/prlimit';
const KERNEL_LIMITS = process.platform === 'linux' && existsSync(PRLIMIT);

/**
 * Decoding 8K in 10 bits takes about 2 GiB with two threads and 6 GiB with sixteen, most of it reserved and never touched.
 * A file that wants more is refused by its own failed allocation.
 */
const ADDRESS_SPACE_BYTES_MAX = 16 * 2 ** 30;
/** Inputs, outputs, pipes and shared libraries while they are loaded. */
const OPEN_FILES_MAX = 64;

type End = 'none' | 'pipe';

export interface ToolLimits {
  /** Over all threads; a decoder that loops without output is ended by it. */
  readonly cpuSecondsMax: number;
  readonly addressSpaceBytesMax?: number;
}

export interface ToolRun<In extends End = End, Out extends End = End, Side extends End = End> {
  readonly program: string;
  readonly args: readonly string[];
  /** What we are doing, to complete "ffmpeg failed while …". */
  readonly doing: string;
  readonly stdin: In;
  readonly stdout: Out;
  /** A second output, as `pipe:3`. */
  readonly sideOutput?: Side;
  readonly limits: ToolLimits;
  readonly cwd?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ToolProcess<In extends End = End, Out extends End = End, Side extends End = End> {
  readonly stdin: In extends 'pipe' ? Writable : null;
  readonly stdout: Out extends 'pipe' ? Readable : null;
  readonly sideOutput: Side extends 'pipe' ? Readable : null;
  /**
   * Resolves when the program has exited with 0 and its pipes are closed. Rejects with MEDIA_TOOL_FAILED,
   * PROGRAM_MISSING or the signal's reason. It may be awaited late or never: it causes no unhandled rejection.
   */
  readonly finished: Promise<{ readonly warnings: readonly string[] }>;
}

export function startTool<In extends End, Out extends End, Side extends End = 'none'>(
  run: ToolRun<In, Out, Side>,
): ToolProcess<In, Out, Side> {
  run.signal?.throwIfAborted();
  const [command, args] = confined(run);
  const child = spawnTied(command, args, {
    stdio: [
      pipeOrIgnore(run.stdin),
      pipeOrIgnore(run.stdout),
      'pipe',
      ...(run.sideOutput === 'pipe' ? ['pipe' as const] : []),
    ],
    env: {},
    ...(run.cwd === undefined ? {} : { cwd: run.cwd }),
  });
  // A child that dies breaks its pipe; `finished` says why it died, so EPIPE itself is no news.
  child.stdin?.on('error', () => {});
  const finished = finish(child, run);
  finished.catch(() => {});
  // Node gives a stream where a pipe was asked for, and null or nothing where not.
  const sideOutput = child.stdio[3] ?? null;
  return { stdin: child.stdin, stdout: child.stdout, sideOutput, finished } as ToolProcess<In, Out, Side>;
}

/** The command line that runs the program within its limits. */
function confined({ program, args, limits }: ToolRun): readonly [string, readonly string[]] {
  const executable = pathOf(program);
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

/** The program's absolute path, as its environment has no PATH; its name where it is in no folder, which then fails to start. */
function pathOf(program: string): string {
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

async function finish(child: ChildProcess, run: ToolRun): Promise<{ readonly warnings: readonly string[] }> {
  const tail = new StderrTail();
  child.stderr?.setEncoding('utf8').on('data', (text: string) => tail.push(text));
  const kill = () => {
    child.kill('SIGKILL');
    // With no reader left, an unread pipe would hold back 'close'.
    const reason = asError(run.signal?.reason);
    child.stdout?.destroy(reason);
    child.stdio[3]?.destroy(reason);
  };
  run.signal?.addEventListener('abort', kill, { once: true });
  try {
    const { exit, spawnErrno } = await closed(child);
    const failure = failureOf({ exit, spawnErrno, run, lines: tail.lines() });
    // Killed by us: the reason is the signal's. Failed by itself a moment before: the reason is its own.
    if (failure !== undefined && !(run.signal?.aborted === true && exit.signal === 'SIGKILL')) throw failure;
    run.signal?.throwIfAborted();
    // ffmpeg prints one for each track whose decoder it may not use, also where it does not need it.
    return { warnings: tail.lines().filter((line) => notAllowedDecoder(line) === undefined) };
  } finally {
    run.signal?.removeEventListener('abort', kill);
  }
}

/** 'close' rather than 'exit': by then all of stderr has been read. */
function closed(child: ChildProcess): Promise<{ exit: ChildExit; spawnErrno: string | undefined }> {
  return new Promise((resolve) => {
    let spawnErrno: string | undefined;
    child.on('error', (error) => {
      spawnErrno ??= errnoOf(error) ?? error.name;
    });
    child.on('close', (status, signal) => resolve({ exit: { status, signal }, spawnErrno }));
  });
}

function failureOf(found: {
  readonly exit: ChildExit;
  readonly spawnErrno: string | undefined;
  readonly run: ToolRun;
  readonly lines: readonly string[];
}): PermanentError | undefined {
  const { exit, spawnErrno, run, lines } = found;
  if (isMissingProgram(exit, spawnErrno)) {
    return new PermanentError(
      'PROGRAM_MISSING',
      `The program ${run.program} is needed for ${run.doing}, and is not installed.`,
      {
        hint: 'Install it: apt-get install ffmpeg',
      },
    );
  }
  if (spawnErrno === undefined && exit.status === 0) return undefined;
  if (exit.signal === 'SIGKILL' || exit.signal === 'SIGXCPU') return killed(run);
  const how = spawnErrno ?? exit.signal ?? `status ${String(exit.status)}`;
  const said = lines.length === 0 ? 'it printed no reason' : lines.slice(-LINES_IN_MESSAGE).join(' | ');
  return new PermanentError(
    'MEDIA_TOOL_FAILED',
    `${run.program} failed (${how}) while ${run.doing}: ${said}`,
    {
      hint: 'Check that the source plays and that the disk is not full. If both are in order, report this message.',
    },
  );
}

function killed({ program, doing, limits }: ToolRun): PermanentError {
  return new PermanentError(
    'MEDIA_TOOL_FAILED',
    `${program} was ended while ${doing}: it used its ${Math.ceil(limits.cpuSecondsMax)} s of processor time, or the machine ran out of memory.`,
    {
      hint: 'Check that the source plays in an ordinary player. If it does, free some memory or cut the source into parts.',
    },
  );
}

function pipeOrIgnore(end: End): 'ignore' | 'pipe' {
  return end === 'pipe' ? 'pipe' : 'ignore';
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
