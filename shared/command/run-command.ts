/** The frame of a command: its answer on standard output, an error on standard error, an exit status, and Ctrl-C. */
import { complain, complaintOf } from '../runtime/complain.ts';
import { EXIT, FleetError, PermanentError, exitStatusOf } from '../runtime/errors.ts';
import { finishOutput, tolerateLostOutput } from '../runtime/standard-streams.ts';
import { onStopSignals } from '../runtime/stop-signals.ts';

export interface Interruption {
  /** Aborted by the first Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
  /** Aborts the signal, as the first Ctrl-C does. */
  readonly interrupt: () => void;
}

/**
 * For a command that has something to clean up before it ends. The first Ctrl-C stops it in order; another one ends it at once,
 * and what it has started is tied to it and stops by itself.
 */
export function onInterrupt(): Interruption {
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

/** Resolves with the exit status. `run` prints its answer, and returns its own status. */
export async function runCommand(
  argv: readonly string[],
  run: () => Promise<number>,
  signal?: AbortSignal,
): Promise<number> {
  tolerateLostOutput();
  const status = await statusOf(argv, run, signal);
  try {
    await finishOutput();
    return status;
  } catch (error) {
    complain(error);
    return exitStatusOf(error);
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
    const error: unknown = signal?.aborted === true && !isInterruption(thrown) ? signal.reason : thrown;
    if (argv.includes('--json')) print(JSON.stringify({ error: complaintOf(error) }));
    else complain(error);
    return exitStatusOf(error);
  }
}

/** Whether a command says itself what an interruption means for it. */
function isInterruption(thrown: unknown): boolean {
  return thrown instanceof FleetError && thrown.code === 'INTERRUPTED';
}

/** A line on standard output. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
