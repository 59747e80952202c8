/** `enqueue --estimate-first`: prints the estimate and asks whether to go on, before anything is uploaded or started. */
import { createInterface } from 'node:readline/promises';

import { say } from '../../../shared/command/run-command.ts';
import { PermanentError } from '../../../shared/runtime/errors.ts';
import type { EnqueueConfig } from '../enqueue/config.ts';
import type { EnqueueOptions } from '../enqueue/options.ts';
import { sourceNameOf } from '../enqueue/result.ts';
import type { Source } from '../enqueue/source.ts';
import { type SourceEstimate, estimateSource } from './estimate-source.ts';
import { estimateText } from './text.ts';

export interface EstimateQuestion {
  readonly options: EnqueueOptions;
  readonly config: EnqueueConfig;
  readonly source: Source;
  readonly signal: AbortSignal;
}

/** Throws USAGE if the user would have to be asked and cannot be: without a terminal, or with `--json`. */
export function refuseUnasked({ estimate, asJson }: EnqueueOptions): void {
  if (estimate !== 'asks' || (!asJson && process.stdin.isTTY && process.stderr.isTTY)) return;
  const why = asJson ? '--json prints one object and asks nothing' : 'there is no terminal';
  throw new PermanentError('USAGE', `Cannot ask whether to go on: ${why}.`, {
    hint: 'Add --yes to go on after the estimate, or use npm run estimate for the estimate alone.',
  });
}

/** Throws INTERRUPTED if the user does not want the job. */
export async function estimateFirst(question: EstimateQuestion): Promise<SourceEstimate> {
  const { options, config, source, signal } = question;
  const { settings, asJson } = options;
  const estimate = await estimateSource({ config, source, settings, machines: [], signal });
  if (asJson) return estimate;
  const isVideo = source.kind === 'video';
  say(estimateText(estimate, { sourceName: sourceNameOf(options), settings, isVideo }));
  if (options.estimate === 'asks' && !(await isWanted(signal)))
    throw new PermanentError('INTERRUPTED', 'The job was not started, and nothing is uploaded.', {
      hint: 'To start it, answer y, or leave out --estimate-first.',
    });
  return estimate;
}

async function isWanted(signal: AbortSignal): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    // Ctrl-C reaches the terminal's reader, not the process, while it reads.
    terminal.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
    const answer = await terminal.question('Start this job? [y/N] ', { signal });
    return /^ *y(es)? *$/i.test(answer);
  } finally {
    terminal.close();
  }
}
