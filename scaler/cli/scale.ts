/**
 * `npm run scale`: tells the scaler how many instances there are to be, for a while, and why; takes that back; or shows it. See
 * `commands/scale-options.ts`.
 */
import { z } from 'zod';

import { print, runCommand } from '../../shared/command/run-command.ts';
import { EXIT } from '../../shared/runtime/errors.ts';
import { type Asked, askScaler } from './ask-scaler.ts';
import { commandConfig } from './config.ts';
import { type ScaleOptions, parseScaleOptions } from './scale-options.ts';

const override = z
  .object({
    mode: z.string(),
    capacity: z.number().nullable(),
    reason: z.string(),
    author: z.string(),
    setAt: z.string(),
    expiresAt: z.string(),
    meaning: z.string(),
  })
  .or(z.literal('unknown'))
  .nullable();
const answer = z.union([z.object({ override }), z.object({ ended: override })]);
type Shown = z.infer<typeof override>;

const argv = process.argv.slice(2);
process.exitCode = await runCommand(argv, async () => {
  const config = commandConfig();
  const options = parseScaleOptions(argv, config.author);
  if (options === null) return EXIT.ok;
  const said = await askScaler(requestOf(options), answer, config);
  print(options.asJson ? JSON.stringify(said) : inWords(said).join('\n'));
  return EXIT.ok;
});

function requestOf(options: ScaleOptions): Asked {
  const path = '/override';
  switch (options.kind) {
    case 'show':
      return { method: 'GET', path };
    case 'set':
      return { method: 'PUT', path, body: options.request };
    case 'end':
      return { method: 'DELETE', path, body: options.request };
  }
}

function inWords(said: z.infer<typeof answer>): string[] {
  if ('ended' in said)
    return said.ended === null ? ['There was no override to end.'] : ['Ended:', ...describe(said.ended)];
  if (said.override === null) return ['No override: the scaler decides.'];
  return describe(said.override);
}

function describe(shown: NonNullable<Shown>): string[] {
  if (shown === 'unknown') return ['There is an override, but it cannot be read: see the scaler’s log.'];
  const { meaning, author, reason, setAt, expiresAt } = shown;
  return [
    `Override: ${meaning}.`,
    `  by ${author}, since ${setAt}, until ${expiresAt}`,
    `  because: ${reason}`,
  ];
}
