/**
 * Runs one probe of an execution provider, in a process of its own.
 *
 * Always ends, and returns undefined if the provider works, or the reason why it does not. Death by a signal, an exit status, a
 * time-out and a wrong result are reasons, never errors. The process's output is kept in bounded memory.
 */
import type { ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';

import { z } from 'zod';

import { parseJson } from '../../shared/contract/parse-json.ts';
import { type ChildExit, spawnNode } from '../../shared/runtime/child.ts';
import type { Environment } from '../../shared/runtime/environment.ts';

const OUTPUT_CHARACTERS_MAX = 16_384;
const WHY_CHARACTERS_MAX = 500;

const probeAnswer = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true) }),
  z.object({ ok: z.literal(false), message: z.string() }),
]);

export interface ProbeRequest {
  readonly programPath: string;
  readonly provider: string;
  readonly deviceId: number;
  /** The process gets this environment and nothing else. */
  readonly environment: Environment;
  readonly timeoutMs: number;
  /** Ends the probe early. The signal's reason is then thrown. */
  readonly signal: AbortSignal;
}

/** Undefined if the provider works, otherwise the reason why not. */
export async function probeProvider(request: ProbeRequest): Promise<string | undefined> {
  const { programPath, provider, deviceId, environment, timeoutMs, signal } = request;
  signal.throwIfAborted();
  const child = spawnNode(programPath, [provider, String(deviceId)], {
    env: { ...environment },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  const kill = (): void => void child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  try {
    const exit = await closed(child);
    signal.throwIfAborted();
    if (isLate) return `no answer within ${timeoutMs / 1000} s`;
    return reasonOf({ exit, stdout: stdout(), stderr: stderr() })?.slice(0, WHY_CHARACTERS_MAX);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', kill);
  }
}

interface ProbeOutput {
  readonly exit: ChildExit | Error;
  readonly stdout: string;
  readonly stderr: string;
}

function reasonOf({ exit, stdout, stderr }: ProbeOutput): string | undefined {
  if (exit instanceof Error) return `the probe did not start: ${exit.message}`;
  const lastLine = linesOf(stderr).at(-1) ?? 'no output';
  if (exit.signal !== null) return `the probe died of ${exit.signal}: ${lastLine}`;
  const answer = probeAnswer.safeParse(parseJson(linesOf(stdout).at(-1) ?? '')).data;
  if (answer?.ok === false) return [answer.message.trim(), ...missingLibrary(stderr)].join(': ');
  if (exit.status !== 0) return `the probe exited with status ${exit.status}: ${lastLine}`;
  return answer === undefined ? `the probe gave no answer: ${lastLine}` : undefined;
}

/** The runtime's error says only that a library cannot be loaded. Its log says which one and why. */
function missingLibrary(stderr: string): string[] {
  const [, why] = /with error: (.+)/.exec(stderr) ?? [];
  return why === undefined ? [] : [why.replace(/^\/\S*\//, '')];
}

/** Returns a function that gives the output so far, or the end of it if it is long. */
function collect(stream: Readable | null): () => string {
  let output = '';
  stream?.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(-OUTPUT_CHARACTERS_MAX);
  });
  return () => output;
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line.trim() !== '');
}

/** Waits for 'close' rather than 'exit', because only then all output has been read. */
function closed(child: ChildProcess): Promise<ChildExit | Error> {
  return new Promise((resolve) => {
    child.once('error', resolve);
    child.once('close', (status, signal) => resolve({ status, signal }));
  });
}
