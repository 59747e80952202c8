/** What all commands do alike: the answer on standard output, notes and errors on standard error, an exit status, Ctrl-C. */
import { uncaughtStorageError } from '../azure/storage-errors.ts';
import { complain, complaintOf } from '../runtime/complain.ts';
import { EXIT, FleetError, PermanentError, exitStatusOf } from '../runtime/errors.ts';
import { quoteCommands } from '../runtime/quote-commands.ts';
import { finishOutput, tolerateLostOutput } from '../runtime/standard-streams.ts';
import { onStopSignals } from '../runtime/stop-signals.ts';

export interface CommandInterrupt {
  /** Aborted by the first Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
  /** Aborts the signal, as the first Ctrl-C does. */
  readonly interrupt: () => void;
}

/**
 * For a command that has something to clean up before it ends. The first Ctrl-C stops it in order. The next one ends it at once;
 * a fleet that it has started notices that and stops by itself.
 */
export function onInterrupt(): CommandInterrupt {
  const interrupting = new AbortController();
  const interrupt = (): void => interrupting.abort(new PermanentError('INTERRUPTED', 'Interrupted.'));
  onStopSignals({
    first: interrupt,
    again: () => {
      process.stderr.write('\nStopped at once.\n');
      process.exit(EXIT.interrupted);
    },
  });
  return { signal: interrupting.signal, interrupt };
}

/**
 * Runs a command and ends the process: open connections and timers of libraries would delay its exit. `run` prints the answer and
 * returns the exit status; what it throws is printed here.
 */
export async function runCommand(
  argv: readonly string[],
  run: () => Promise<number>,
  signal?: AbortSignal,
): Promise<never> {
  tolerateLostOutput();
  const status = await statusOf(argv, run, signal);
  try {
    await finishOutput();
    process.exit(status);
  } catch (error) {
    complain(error);
    process.exit(exitStatusOf(error));
  }
}

async function statusOf(
  argv: readonly string[],
  run: () => Promise<number>,
  signal: AbortSignal | undefined,
): Promise<number> {
  try {
    return await run();
  } catch (thrown) {
    // After Ctrl-C, most errors are only its consequence. A command that adds a hint throws INTERRUPTED itself.
    const isConsequence = signal?.aborted === true && !isInterrupted(thrown);
    const error: unknown = isConsequence ? signal.reason : (uncaughtStorageError(thrown) ?? thrown);
    if (argv.includes('--json')) print(JSON.stringify({ error: complaintOf(error) }));
    else complain(error);
    return exitStatusOf(error);
  }
}

function isInterrupted(thrown: unknown): boolean {
  return thrown instanceof FleetError && thrown.code === 'INTERRUPTED';
}

/** Prints a line of the answer on standard output. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Prints a note for the user on standard error. */
export function say(sentence: string): void {
  process.stderr.write(`${quoteCommands(sentence)}\n`);
}
