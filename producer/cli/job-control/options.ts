/** Parses the command lines of `npm run cancel`, `pause`, `resume`, `priority`, `retry` and `clean`. */
import { Argument, type Command } from 'commander';

import { helpText } from '../../../shared/command/help-text.ts';
import { newCommand, parseCommand } from '../../../shared/command/parse-command.ts';
import { PRIORITIES, type Priority } from '../../../shared/contract/job.ts';
import { JOB_EXAMPLE, parseJobId } from '../job-argument.ts';

export type ControlOptions = { readonly jobId: string; readonly asJson: boolean } & (
  | { readonly verb: 'cancel'; readonly isCleaned: boolean }
  | { readonly verb: 'pause' | 'resume' | 'retry' }
  | { readonly verb: 'priority'; readonly priority: Priority }
  | { readonly verb: 'clean'; readonly isAll: boolean }
);
export type ControlVerb = ControlOptions['verb'];

interface ControlText {
  readonly description: string;
  readonly notes: readonly string[];
  /** Of the exit statuses 1 and 69. */
  readonly exits: Readonly<Record<number, string | true>>;
}

const OF_OPEN_JOB = { 1: 'the job has ended', 69: true } as const;
const UNENDED = 'the job has not ended, or a service is not available';

const TEXTS: Readonly<Record<ControlVerb, ControlText>> = {
  cancel: {
    description: 'Ends a job without a result.',
    notes: [
      'Workers stop within ten seconds, and its messages are removed from the queue. Segments that are stored are kept for a week, so that npm run retry can run the rest; with --clean they are removed within a minute.',
    ],
    exits: OF_OPEN_JOB,
  },
  pause: {
    description: 'Holds a job: no further batch is sent to the fleet.',
    notes: [
      'Batches that a worker has in hand are finished. A paused job keeps no machine and costs nothing.',
      'To pause the whole fleet, so that machines finish their work and go: npm run scale -- --pause --for 1h --because "…"',
    ],
    exits: OF_OPEN_JOB,
  },
  resume: { description: 'Lets a paused job go on.', notes: [], exits: OF_OPEN_JOB },
  priority: {
    description: 'Changes the priority of a job: jobs with a higher priority run first.',
    notes: [
      'It applies within seconds, to batches that are not on the queue yet and to the split and the join.',
    ],
    exits: OF_OPEN_JOB,
  },
  retry: {
    description: 'Runs what failed in an ended job, or is missing, and joins the result again.',
    notes: [
      'Segments without a failed frame are not scored again, unless the job ended more than a week ago (a day if nothing failed). Until there is a new result, the one before stays.',
    ],
    exits: { 1: 'there is nothing to retry', 69: UNENDED },
  },
  clean: {
    description: 'Removes the pieces and segments of an ended job before their time.',
    notes: ['The source and the result stay, unless --all is given. Then nothing of the job is left.'],
    exits: { 69: UNENDED },
  },
};

/** Returns null if the user asked for help, which is then printed. Throws USAGE. */
export function parseControlOptions(verb: ControlVerb, argv: readonly string[]): ControlOptions | null {
  const { description } = TEXTS[verb];
  const command = newCommand(`npm run ${verb}`)
    .usage(`-- JOB${verb === 'priority' ? ` ${PRIORITIES.join('|')}` : ''} [options]`)
    .description(description)
    .argument('<job>', 'job id, as printed by npm run enqueue and npm run jobs', parseJobId);
  if (verb === 'priority')
    command.addArgument(new Argument('<level>', 'the new priority').choices(PRIORITIES));
  if (verb === 'cancel') command.option('--clean', 'also remove what has been scored');
  if (verb === 'clean')
    command.option('--all', 'also remove the source, the result, the report and the logs');
  command.option('--json', 'print one JSON object').addHelpText('after', help(verb));
  if (!parseCommand(command, argv)) return null;
  return optionsOf(verb, command);
}

function help(verb: ControlVerb): string {
  const { notes, exits } = TEXTS[verb];
  const more = { cancel: ' --clean', clean: ' --all', priority: ' high' } as Partial<
    Record<ControlVerb, string>
  >;
  return helpText({
    examples: [`npm run ${verb} -- ${JOB_EXAMPLE}${more[verb] ?? ''}`],
    notes: [
      ...notes,
      'It needs storage only. Without FRAMEFLEET_MEDIA_STORAGE and FRAMEFLEET_SYSTEM_STORAGE it uses the local fleet of this folder (npm start).',
    ],
    exits: {
      0: true,
      64: true,
      66: 'the job does not exist',
      70: true,
      ...exits,
    },
  });
}

function optionsOf(verb: ControlVerb, command: Command): ControlOptions {
  const [jobId = '', level] = command.args;
  const {
    json = false,
    all = false,
    clean = false,
  } = command.opts<{
    json?: boolean;
    all?: boolean;
    clean?: boolean;
  }>();
  const common = { jobId, asJson: json };
  switch (verb) {
    case 'cancel':
      return { ...common, verb, isCleaned: clean };
    case 'priority':
      return { ...common, verb, priority: level as Priority };
    case 'clean':
      return { ...common, verb, isAll: all };
    case 'pause':
    case 'resume':
    case 'retry':
      return { ...common, verb };
  }
}
