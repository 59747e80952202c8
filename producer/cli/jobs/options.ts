/** Parses the command lines of `npm run jobs`, `status`, `watch` and `logs`. */
import { type Command, InvalidArgumentError, Option } from 'commander';

import { helpText } from '../../../shared/command/help-text.ts';
import { newCommand, parseCommand } from '../../../shared/command/parse-command.ts';
import { JOB_STATES } from '../../../shared/contract/job.ts';
import { FRAMES_MAX } from '../../../shared/contract/limits.ts';
import type { JobFilter } from '../../control/job-view.ts';
import { RUNNING_STATES } from '../../control/job-words.ts';
import { JOB_EXAMPLE, parseJobId } from '../job-argument.ts';

export type LookOptions = { readonly asJson: boolean } & (
  | { readonly verb: 'jobs'; readonly filter: JobFilter }
  | { readonly verb: 'status'; readonly jobId: string }
  | { readonly verb: 'watch'; readonly jobId: string | null }
  | {
      readonly verb: 'logs';
      readonly jobId: string;
      readonly frame: number | null;
      readonly onlyFailed: boolean;
    }
);
export type LookVerb = LookOptions['verb'];

const JOBS_SHOWN = 20;
/** Each takes three reads from storage. */
const JOBS_MAX = 10_000;
const STORAGE_NOTE =
  'It needs storage only. Without FRAMEFLEET_MEDIA_STORAGE and FRAMEFLEET_SYSTEM_STORAGE it uses the local fleet of this folder (npm start).';

/** Returns null if the user asked for help, which is then printed. Throws USAGE. */
export function parseLookOptions(verb: LookVerb, argv: readonly string[]): LookOptions | null {
  const command = COMMANDS[verb]().option('--json', JSON_TEXTS[verb]);
  command.addHelpText('after', helpText(HELPS[verb]));
  if (!parseCommand(command, argv)) return null;
  const [jobId] = command.args;
  const values = command.opts<{
    state?: string[];
    search?: string;
    limit?: number;
    frame?: number;
    failed?: boolean;
    json?: boolean;
  }>();
  const { json: asJson = false } = values;
  switch (verb) {
    case 'jobs': {
      const { state = null, search = null, limit = JOBS_SHOWN } = values;
      return { verb, asJson, filter: { states: state, search, max: limit } };
    }
    case 'status':
      return { verb, asJson, jobId: jobId ?? '' };
    case 'watch':
      return { verb, asJson, jobId: jobId ?? null };
    case 'logs':
      return {
        verb,
        asJson,
        jobId: jobId ?? '',
        frame: values.frame ?? null,
        onlyFailed: values.failed ?? false,
      };
  }
}

const COMMANDS: Readonly<Record<LookVerb, () => Command>> = {
  jobs: () =>
    newCommand('npm run jobs')
      .usage('-- [options]')
      .description('Lists the jobs of a fleet, the newest first.')
      .addOption(
        new Option('--state <states...>', 'only jobs in these states').choices([
          ...JOB_STATES,
          ...RUNNING_STATES,
        ]),
      )
      .option('--search <text>', 'only jobs with this text in their id or in the name of their source')
      .option('--limit <jobs>', `how many to list, up to ${JOBS_MAX}`, parseLimit, JOBS_SHOWN),
  status: () =>
    newCommand('npm run status')
      .usage('-- JOB [options]')
      .description('Shows a job: its progress, what it waits for and why, its failures and its cost so far.')
      .argument('<job>', 'job id, as printed by npm run enqueue and npm run jobs', parseJobId),
  watch: () =>
    newCommand('npm run watch')
      .usage('-- [JOB] [options]')
      .description('Shows the progress of a job until it has ended, or a live table of all open jobs.')
      .argument('[job]', 'job id, as printed by npm run enqueue and npm run jobs', parseJobId),
  logs: () =>
    newCommand('npm run logs')
      .usage('-- JOB [options]')
      .description(
        'Prints what became of each frame of a job: when, on which worker, how long, or why it failed.',
      )
      .argument('<job>', 'job id, as printed by npm run enqueue and npm run jobs', parseJobId)
      .option('--frame <n>', 'only this frame, from 0', parseFrame)
      .option('--failed', 'only attempts that failed'),
};

const JSON_TEXTS: Readonly<Record<LookVerb, string>> = {
  jobs: 'print one JSON object',
  status: 'print one JSON object',
  watch: 'print a JSON object on each change',
  logs: 'print the lines as JSON objects',
};

const HELPS: Readonly<Record<LookVerb, Parameters<typeof helpText>[0]>> = {
  jobs: {
    examples: [
      'npm run jobs',
      'npm run jobs -- --state running waiting',
      'npm run jobs -- --search harbour --limit 100',
    ],
    notes: [STORAGE_NOTE],
    exits: { 0: true, 64: true, 69: true, 70: true },
  },
  status: {
    examples: [`npm run status -- ${JOB_EXAMPLE}`],
    notes: [STORAGE_NOTE],
    exits: {
      0: 'success, whatever the state of the job',
      64: true,
      66: 'the job does not exist',
      69: true,
      70: true,
    },
  },
  watch: {
    examples: ['npm run watch', `npm run watch -- ${JOB_EXAMPLE}`],
    notes: [`${STORAGE_NOTE} Ctrl-C ends the command; jobs go on.`],
    exits: {
      0: 'the job is completed',
      1: 'the job failed or was cancelled',
      64: true,
      66: 'the job does not exist',
      69: true,
      130: true,
    },
  },
  logs: {
    examples: [`npm run logs -- ${JOB_EXAMPLE} --failed`, `npm run logs -- ${JOB_EXAMPLE} --frame 12`],
    notes: ['Lines appear when a worker has ended its delivery of a batch.', STORAGE_NOTE],
    exits: { 0: true, 64: true, 66: 'the job does not exist', 69: true, 70: true },
  },
};

function parseLimit(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= JOBS_MAX) return value;
  throw new InvalidArgumentError(`Expected a whole number from 1 to ${JOBS_MAX}.`);
}

function parseFrame(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value < FRAMES_MAX) return value;
  throw new InvalidArgumentError('Expected the index of a frame, from 0.');
}
