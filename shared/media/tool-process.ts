/**
 * One run of a media program (ffmpeg, ffprobe) as a child process.
 *
 * Promises: an argv array, never a shell; the child dies with us (`spawnTied`) and at once when the signal aborts; what
 * it writes to stderr is held in bounded memory; `finished` tells one truth, and the program's own failure wins over
 * the broken pipe it causes. Leaves to others: what the arguments are, and reading stdout or filling stdin (whoever asks
 * for a pipe must use it, or the child waits for ever).
 */
import type { ChildProcess } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

import { type ChildExit, isMissingProgram, spawnTied } from '../runtime/child.ts';
import { PermanentError, errnoOf } from '../runtime/errors.ts';
import { StderrTail } from './stderr-tail.ts';

/** How many stderr lines an error's message shows; the others stay in the warnings. */
const LINES_IN_MESSAGE = 4;

type End = 'none' | 'pipe';

export interface ToolRun<In extends End = End, Out extends End = End> {
  readonly program: string;
  readonly args: readonly string[];
  /** What we are doing, to complete "ffmpeg failed while …". */
  readonly doing: string;
  readonly stdin: In;
  readonly stdout: Out;
  readonly cwd?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ToolProcess<In extends End = End, Out extends End = End> {
  readonly stdin: In extends 'pipe' ? Writable : null;
  readonly stdout: Out extends 'pipe' ? Readable : null;
  /**
   * Resolves when the program has exited with 0 and its pipes are closed. Rejects with MEDIA_TOOL_FAILED,
   * PROGRAM_MISSING or the signal's reason. It may be awaited late or never: it causes no unhandled rejection.
   */
  readonly finished: Promise<{ readonly warnings: readonly string[] }>;
}

export function startTool<In extends End, Out extends End>(run: ToolRun<In, Out>): ToolProcess<In, Out> {
  run.signal?.throwIfAborted();
  const child = spawnTied(run.program, run.args, {
    stdio: [pipeOrIgnore(run.stdin), pipeOrIgnore(run.stdout), 'pipe'],
    ...(run.cwd === undefined ? {} : { cwd: run.cwd }),
  });
  // A child that dies breaks its pipe; `finished` says why it died, so EPIPE itself is no news.
  child.stdin?.on('error', () => {});
  const finished = finish(child, run);
  finished.catch(() => {});
  // Node gives a stream where a pipe was asked for, and null where not.
  return { stdin: child.stdin, stdout: child.stdout, finished } as ToolProcess<In, Out>;
}

async function finish(child: ChildProcess, run: ToolRun): Promise<{ readonly warnings: readonly string[] }> {
  const tail = new StderrTail();
  child.stderr?.setEncoding('utf8').on('data', (text: string) => tail.push(text));
  const kill = () => {
    child.kill('SIGKILL');
    // Nobody may be reading any more, and an unread pipe would hold back 'close'.
    child.stdout?.destroy(asError(run.signal?.reason));
  };
  run.signal?.addEventListener('abort', kill, { once: true });
  try {
    const { exit, spawnErrno } = await closed(child);
    const failure = failureOf({ exit, spawnErrno, run, lines: tail.lines() });
    // Killed by us: the reason is the signal's. Failed by itself a moment before: the reason is its own.
    if (failure !== undefined && !(run.signal?.aborted === true && exit.signal === 'SIGKILL')) throw failure;
    run.signal?.throwIfAborted();
    return { warnings: tail.lines() };
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
      `The program ${run.program} is needed for ${run.doing}, and is not there.`,
      {
        hint: 'Install it: apt-get install ffmpeg',
      },
    );
  }
  if (spawnErrno === undefined && exit.status === 0) return undefined;
  const how = spawnErrno ?? exit.signal ?? `status ${String(exit.status)}`;
  const said = lines.length === 0 ? 'it said nothing' : lines.slice(-LINES_IN_MESSAGE).join(' | ');
  return new PermanentError(
    'MEDIA_TOOL_FAILED',
    `${run.program} failed (${how}) while ${run.doing}: ${said}`,
    {
      hint: 'See whether the disk is full and whether the source plays; if neither is at fault, keep this message.',
    },
  );
}

function pipeOrIgnore(end: End): 'ignore' | 'pipe' {
  return end === 'pipe' ? 'pipe' : 'ignore';
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
