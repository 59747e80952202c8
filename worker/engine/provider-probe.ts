/**
 * One probe of an execution provider, in a process of its own.
 *
 * Promises: it always comes to an end, and to one of two: undefined where the provider works, or a sentence that says why not.
 * Death by a signal, an exit status, silence and wrong numbers are such sentences, never errors. What the process writes is held
 * in bounded memory.
 */
import type { ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';

import { z } from 'zod';

import { parseJson } from '../../shared/contract/parse-json.ts';
import { type ChildExit, spawnNode } from '../../shared/runtime/child.ts';
import type { Environment } from '../../shared/runtime/environment.ts';

const HEARD_CHARACTERS_MAX = 16_384;
const WHY_CHARACTERS_MAX = 500;

const probeAnswer = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true) }),
  z.object({ ok: z.literal(false), message: z.string() }),
]);

export interface ProbeRequest {
  readonly programPath: string;
  readonly provider: string;
  readonly deviceId: number;
  /** The process gets this and nothing else. */
  readonly environment: Environment;
  readonly timeoutMs: number;
  /** Ends the probe early; then its reason is thrown. */
  readonly signal: AbortSignal;
}

/** Undefined where the provider works; otherwise why not, in a sentence. */
export async function probeProvider(request: ProbeRequest): Promise<string | undefined> {
  const { programPath, provider, deviceId, environment, timeoutMs, signal } = request;
  signal.throwIfAborted();
  const child = spawnNode(programPath, [provider, String(deviceId)], {
    env: { ...environment },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const stdout = hear(child.stdout);
  const stderr = hear(child.stderr);
  let isLate = false;
  const pull = setTimeout(() => {
    isLate = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  const kill = (): void => void child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  try {
    const exit = await closed(child);
    signal.throwIfAborted();
    if (isLate) return `it did not answer within ${timeoutMs / 1000} s`;
    return refusalOf({ exit, stdout: stdout(), stderr: stderr() })?.slice(0, WHY_CHARACTERS_MAX);
  } finally {
    clearTimeout(pull);
    signal.removeEventListener('abort', kill);
  }
}

interface Heard {
  readonly exit: ChildExit | Error;
  readonly stdout: string;
  readonly stderr: string;
}

function refusalOf({ exit, stdout, stderr }: Heard): string | undefined {
  if (exit instanceof Error) return `its probe could not be started: ${exit.message}`;
  const said = linesOf(stderr).at(-1) ?? 'it said nothing';
  if (exit.signal !== null) return `its probe died of ${exit.signal}: ${said}`;
  const answer = probeAnswer.safeParse(parseJson(linesOf(stdout).at(-1) ?? '')).data;
  if (answer?.ok === false) return [answer.message.trim(), ...libraryAway(stderr)].join(': ');
  if (exit.status !== 0) return `its probe ended with status ${exit.status}: ${said}`;
  return answer === undefined ? `its probe gave no answer: ${said}` : undefined;
}

/** The runtime's error says only that a library cannot be loaded; which one, and why, is in its log. */
function libraryAway(stderr: string): string[] {
  const [, why] = /with error: (.+)/.exec(stderr) ?? [];
  return why === undefined ? [] : [why.replace(/^\/\S*\//, '')];
}

/** What a stream has said so far: the end of it, where it is long. */
function hear(stream: Readable | null): () => string {
  let heard = '';
  stream?.setEncoding('utf8').on('data', (text: string) => {
    heard = (heard + text).slice(-HEARD_CHARACTERS_MAX);
  });
  return () => heard;
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line.trim() !== '');
}

/** 'close' rather than 'exit': by then all that was written has been read. */
function closed(child: ChildProcess): Promise<ChildExit | Error> {
  return new Promise((resolve) => {
    child.once('error', resolve);
    child.once('close', (status, signal) => resolve({ status, signal }));
  });
}
