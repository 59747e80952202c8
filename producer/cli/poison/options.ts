/** What may be said on the command line of `npm run poison`, and what it means. */
import { type Command, InvalidArgumentError, Option } from 'commander';

import { newCommand, parseCommand } from '../../../shared/command/parse-command.ts';
import { JOB_ID_PATTERN } from '../../../shared/contract/blob-names.ts';
import { POISON_REASONS, type PoisonReason } from '../../../shared/contract/messages.ts';
import { PermanentError } from '../../../shared/runtime/errors.ts';
import type { EntryFilter } from './entry.ts';

const USAGE =
  'Usage: npm run poison -- list|show|redrive|drop [options]. All of them: npm run poison -- --help';

const EXAMPLES = `
Examples:
  npm run poison -- list
  npm run poison -- list --reason undecodable
  npm run poison -- show 5f2c7a34-inference
  npm run poison -- redrive --job 20261123-061502-harbour-9f3a1c
  npm run poison -- drop --id 5f2c7a34-inference --id 81d0b6ce-engine
  npm run --silent poison -- list --json

Without FRAMEFLEET_MEDIA_STORAGE and FRAMEFLEET_SYSTEM_STORAGE it is the local fleet of this folder: npm start.
A failure of a job that has not ended is tried again when it has. Doing anything twice does no harm.
Exit status: 0 done, 1 some could not be tried again, 64 usage, 66 no entry with that id, 69 storage is not reachable,
70 an internal error, 130 interrupted.`;

export interface PoisonOptions {
  readonly verb: 'list' | 'show' | 'redrive' | 'drop';
  readonly filter: EntryFilter;
  readonly asJson: boolean;
}

interface Said {
  readonly job?: string;
  readonly reason?: PoisonReason;
  readonly id?: readonly string[];
  readonly all?: boolean;
  readonly json?: boolean;
}

/** The options, or null where help was asked for and printed. Throws USAGE. */
export function parseOptions(argv: readonly string[]): PoisonOptions | null {
  let options: PoisonOptions | undefined;
  const program = newCommand('npm run poison')
    .usage('-- list|show|redrive|drop [options]')
    .description('Looks at what could not be worked, tries it again, or throws it away.')
    .addHelpText('after', EXAMPLES);

  const filtered = (verb: 'list' | 'redrive' | 'drop', description: string): Command =>
    program
      .command(verb)
      .description(description)
      .option('--job <id>', 'only of this job', parseJob)
      .addOption(new Option('--reason <reason>', 'only for this reason').choices(POISON_REASONS))
      .option('--id <id>', 'only this entry; may be said again', (id, ids?: readonly string[]) => [
        ...(ids ?? []),
        id,
      ])
      .option('--json', 'print one JSON object', false)
      .action(({ job, reason, id = [], all = false, json = false }: Said) => {
        const isAnyone = job === undefined && reason === undefined && id.length === 0;
        if (verb !== 'list' && isAnyone && !all) {
          throw new PermanentError('USAGE', `Which entries ${verb}s it? None is named.`, {
            hint: `Name them with --id, --job or --reason, or say --all. ${USAGE}`,
          });
        }
        options = { verb, filter: { jobId: job, reason, ids: id }, asJson: json };
      });
  filtered('list', 'a line for each failure');
  program
    .command('show')
    .description('all that is known of one failure, with the message itself')
    .argument('<id>', 'as list gives it')
    .option('--json', 'print one JSON object', false)
    .action((id: string, { json = false }: Said) => {
      options = { verb: 'show', filter: { jobId: undefined, reason: undefined, ids: [id] }, asJson: json };
    });
  const all = ['--all', 'everything on the queue'] as const;
  filtered('redrive', 'try failures again').option(...all);
  filtered('drop', 'throw failures away: their frames stay as they are').option(...all);

  if (!parseCommand(program, argv, USAGE)) return null;
  return options ?? null;
}

function parseJob(text: string): string {
  if (!JOB_ID_PATTERN.test(text)) {
    throw new InvalidArgumentError('Expected the id of a job, such as 20261123-061502-harbour-9f3a1c.');
  }
  return text;
}
