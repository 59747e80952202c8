/** `npm run estimate VIDEO`: GPU hours, cost and time of a job, before anything is uploaded. See `estimate/options.ts`. */
import path from 'node:path';

import { callerPath } from '../../shared/command/config.ts';
import { onInterrupt, print, runCommand } from '../../shared/command/run-command.ts';
import { EXIT } from '../../shared/runtime/errors.ts';
import { enqueueConfig } from './enqueue/config.ts';
import { openSource } from './enqueue/source.ts';
import { estimateSource } from './estimate/estimate-source.ts';
import { parseEstimateOptions } from './estimate/options.ts';
import { estimateText } from './estimate/text.ts';

const argv = process.argv.slice(2);
const { signal } = onInterrupt();
await runCommand(argv, main, signal);

async function main(): Promise<number> {
  const options = parseEstimateOptions(argv);
  if (options === null) return EXIT.ok;
  const { sourcePath, isStored, settings, machines, asJson } = options;
  const config = enqueueConfig();
  const source = isStored
    ? ({ kind: 'stored-images', prefix: sourcePath } as const)
    : await openSource(callerPath(sourcePath), config.sourceLimits);
  const estimate = await estimateSource({ config, source, settings, machines, signal });
  const sourceName = isStored ? sourcePath : path.basename(sourcePath);
  const names = { sourceName, settings, isVideo: source.kind === 'video' };
  print(asJson ? JSON.stringify({ name: sourceName, ...estimate }) : estimateText(estimate, names));
  return EXIT.ok;
}
