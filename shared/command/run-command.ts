/** The frame of a command: its answer on standard output, a complaint on standard error, an exit status, and Ctrl-C. */
import { complain, complaintOf } from '../runtime/complain.ts';
import { EXIT, PermanentError, exitStatusOf } from '../runtime/errors.ts';

export interface Interruption {
  /** Aborted by the first Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
  /** The first time in order; the second time at once: what a command has started is tied to it and goes too. */
  readonly interrupt: () => void;
}

/** For a command that has something to put in order before it ends. */
export function onInterrupt(): Interruption {
  const interrupting = new AbortController();
  const interrupt = (): void => {
    if (interrupting.signal.aborted) process.exit(EXIT.interrupted);
    interrupting.abort(new PermanentError('INTERRUPTED', 'Interrupted.'));
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  return { signal: interrupting.signal, interrupt };
}

/** Resolves with the exit status. `run` prints its answer, and gives its own status. */
export async function runCommand(
  argv: readonly string[],
  run: () => Promise<number>,
  signal?: AbortSignal,
): Promise<number> {
  try {
    return await run();
  } catch (thrown) {
    const error: unknown = signal?.aborted === true ? signal.reason : thrown;
    if (argv.includes('--json')) print(JSON.stringify({ error: complaintOf(error) }));
    else complain(error);
    return exitStatusOf(error);
  }
}

/** A line on standard output. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
