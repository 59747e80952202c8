/** Parses the command line of `npm run poison`. */
import { type Command, Option } from 'commander';

import { helpText } from '../../../shared/command/help-text.ts';
import { newCommand, parseCommand, usageHint } from '../../../shared/command/parse-command.ts';
import { POISON_REASONS, type PoisonReason } from '../../../shared/contract/messages.ts';
import { PermanentError } from '../../../shared/runtime/errors.ts';
import { JOB_EXAMPLE, parseJobId } from '../job-argument.ts';
import type { EntryFilter } from './entry.ts';

const HELP = helpText({
  examples: [
    'npm run poison -- list',
    'npm run poison -- list --reason inference',
    'npm run poison -- show 5f2c7a34-inference-12',
    `npm run poison -- redrive --job ${JOB_EXAMPLE}`,
    'npm run poison -- drop --id 5f2c7a34-inference-12 --id 81d0b6ce-engine-40',
    'npm run --silent poison -- list --json',
  ],
  notes: [
    'Without FRAMEFLEET_MEDIA_STORAGE and FRAMEFLEET_SYSTEM_STORAGE it uses the local fleet of this folder (npm start).',
    'Failed frames of a running job are redriven when the job has ended. It is safe to repeat any action.',
  ],
  exits: {
    0: true,
    1: 'some entries could not be redriven',
    64: true,
    66: 'no entry has this id',
    69: true,
    70: true,
    130: true,
  },
});

export interface PoisonOptions {
  readonly verb: 'list' | 'show' | 'redrive' | 'drop';
  readonly filter: EntryFilter;
  readonly asJson: boolean;
}

interface PoisonOptionValues {
  readonly job?: string;
  readonly reason?: PoisonReason;
  readonly id?: readonly string[];
  readonly all?: boolean;
  readonly json?: boolean;
}

/** Returns null if the user asked for help, which is then printed. Throws USAGE. */
export function parsePoisonOptions(argv: readonly string[]): PoisonOptions | null {
  let options: PoisonOptions | undefined;
  const program = newCommand('npm run poison')
    .usage('-- list|show|redrive|drop [options]')
    .description(
      'Shows the failed frames and malformed messages on the poison queue, redrives or drops them.',
    )
    .commandsGroup('Actions:')
    .helpCommand('help [action]', 'print the help of an action')
    .addHelpText('after', HELP);

  const addFiltered = (verb: 'list' | 'redrive' | 'drop', description: string): Command =>
    program
      .command(verb)
      .description(description)
      .option('--job <id>', 'only entries of this job', parseJobId)
      .addOption(new Option('--reason <reason>', 'only entries with this reason').choices(POISON_REASONS))
      .option('--id <id>', 'only this entry; can be repeated', (id, ids?: readonly string[]) => [
        ...(ids ?? []),
        id,
      ])
      .option('--json', 'print one JSON object')
      .action(({ job, reason, id = [], all = false, json = false }: PoisonOptionValues) => {
        const hasFilter = job !== undefined || reason !== undefined || id.length > 0;
        if (verb !== 'list' && !hasFilter && !all) {
          throw new PermanentError(
            'USAGE',
            `No entries given to ${verb}. Use --id, --job, --reason or --all.`,
            {
              hint: usageHint(program),
            },
          );
        }
        options = { verb, filter: { jobId: job, reason, ids: id }, asJson: json };
      });
  addFiltered('list', 'list the entries, one on each line');
  program
    .command('show')
    .description('show all details of an entry, with its message')
    .argument('<id>', 'entry id, as printed by list')
    .option('--json', 'print one JSON object')
    .action((id: string, { json = false }: PoisonOptionValues) => {
      options = { verb: 'show', filter: { jobId: undefined, reason: undefined, ids: [id] }, asJson: json };
    });
  addFiltered('redrive', 'retry the frames or messages of entries, or a job that failed without any').option(
    '--all',
    'all entries',
  );
  addFiltered('drop', 'remove entries; their frames stay failed').option('--all', 'all entries');

  if (!parseCommand(program, argv)) return null;
  return options ?? null;
}
