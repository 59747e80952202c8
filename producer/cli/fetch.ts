/**
 * `npm run fetch -- JOB`: downloads the result of a finished job, after `enqueue --detach` or if `enqueue` could not write it.
 * Prints the path of the result on standard output and everything else on standard error. See `fetch/options.ts`.
 */
import { callerPath } from '../../shared/command/config.ts';
import { onInterrupt, print, runCommand, say } from '../../shared/command/run-command.ts';
import { EXIT } from '../../shared/runtime/errors.ts';
import { watchParent } from '../../shared/runtime/watch-parent.ts';
import { enqueueConfig } from './enqueue/config.ts';
import { findResult } from './fetch/find-result.ts';
import { parseFetchOptions } from './fetch/options.ts';
import { planOutput } from './output-path.ts';
import { planFolder, saveImages } from './save-images.ts';
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
  const request = {
    sourcePath: undefined,
    outputPath: options.outputPath === undefined ? undefined : callerPath(options.outputPath),
    defaultFolder: callerPath('.'),
    ...result.name,
    mayReplace,
  };
  const { stored } = result;
  let output: string;
  let facts: { readonly sizeBytes: number } | { readonly images: number };
  if ('images' in stored) {
    output = await planFolder(request);
    facts = { images: await saveImages(stored.blobs, stored.images, output, interruption) };
  } else {
    const plan = await planOutput(request);
    await saveOutput(stored, plan, interruption);
    output = plan.path;
    facts = { sizeBytes: stored.sizeBytes };
  }
  if (result.isOfEarlierRun)
    say('Note: The job was retried and has not completed since. This is the result of the run before.');
  await result.release();
  print(options.asJson ? JSON.stringify({ jobId, output, ...facts }) : output);
  return EXIT.ok;
}
