/**
 * `npm run fetch -- JOB`: downloads the result of a finished job, after `enqueue --detach` or if `enqueue` could not write it.
 * Prints the path of the result on standard output and everything else on standard error. See `fetch/options.ts`.
 */
import path from 'node:path';

import { onInterrupt, print, runCommand } from '../../shared/command/run-command.ts';
import { EXIT } from '../../shared/runtime/errors.ts';
import { watchParent } from '../../shared/runtime/watch-parent.ts';
import { enqueueConfig } from './enqueue/config.ts';
import { findResult } from './fetch/find-result.ts';
import { parseFetchOptions } from './fetch/options.ts';
import { planOutput } from './output-path.ts';
import { saveOutput } from './save-output.ts';

const argv = process.argv.slice(2);
const { signal: interruption, interrupt } = onInterrupt();
await runCommand(argv, main, interruption);

async function main(): Promise<number> {
  const options = parseFetchOptions(argv);
  if (options === null) return EXIT.ok;
  const { jobId, mayReplace } = options;
  const config = enqueueConfig();
  watchParent(config.environment, interrupt);
  await using result = await findResult(config, jobId, interruption);
  const output = await planOutput({
    sourcePath: undefined,
    outputPath:
      options.outputPath === undefined ? undefined : path.resolve(config.callerFolder, options.outputPath),
    defaultFolder: config.callerFolder,
    ...result.name,
    mayReplace,
  });
  await saveOutput(result.stored, output, interruption);
  await result.release();
  const { sizeBytes } = result.stored;
  print(options.asJson ? JSON.stringify({ jobId, output: output.path, sizeBytes }) : output.path);
  return EXIT.ok;
}
