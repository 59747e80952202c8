/** The frame of a command: its answer on standard output, a complaint on standard error, an exit status, and Ctrl-C. */
import { complain, complaintOf } from '../runtime/complain.ts';
import { EXIT, PermanentError, exitStatusOf } from '../runtime/errors.ts';
import { onKeyPress } from '../runtime/key-press.ts';

export interface Interruption {
  /** Aborted by the first Ctrl-C, or SIGTERM. A second Ctrl-C ends the process: what it has started is tied to it and goes, too. */
  readonly signal: AbortSignal;
  /** For another reason to end in order. */
  readonly interrupt: () => void;
}

/** For a command that has something to put in order before it ends. */
export function onInterrupt(): Interruption {
  const interrupting = new AbortController();
  const interrupt = (): void => interrupting.abort(new PermanentError('INTERRUPTED', 'Interrupted.'));
  onKeyPress({ first: interrupt, again: () => process.exit(EXIT.interrupted) });
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
