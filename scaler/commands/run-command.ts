/** The frame of a command: its answer on standard output, a complaint on standard error, an exit status. */
import { complain, complaintOf } from '../../shared/runtime/complain.ts';
import { EXIT, exitStatusOf } from '../../shared/runtime/errors.ts';

/** Resolves with the exit status. `run` gives the lines to print, or null where all has been said. */
export async function runCommand(
  argv: readonly string[],
  run: () => Promise<readonly string[] | null>,
): Promise<number> {
  try {
    const lines = await run();
    if (lines !== null) process.stdout.write(`${lines.join('\n')}\n`);
    return EXIT.ok;
  } catch (error) {
    if (argv.includes('--json')) process.stdout.write(`${JSON.stringify({ error: complaintOf(error) })}\n`);
    else complain(error);
    return exitStatusOf(error);
  }
}
