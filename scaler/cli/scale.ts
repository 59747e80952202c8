/** `npm run scale`: sets, ends or shows the override of the fleet's size. See `scale-options.ts`. */
import { z } from 'zod';

import { print, runCommand } from '../../shared/command/run-command.ts';
import { instantText } from '../../shared/command/text.ts';
import { EXIT } from '../../shared/runtime/errors.ts';
import type { ScalerRequest } from '../../shared/runtime/scaler-client.ts';
import { askScaler } from './ask-scaler.ts';
import { scalerCommandConfig } from './config.ts';
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
const overrideAnswer = z.union([
  z.object({ override, capacityMax: z.number() }),
  z.object({ ended: override, capacityMax: z.number() }),
]);
type OverrideJson = z.infer<typeof override>;

const argv = process.argv.slice(2);
await runCommand(argv, async () => {
  const config = scalerCommandConfig();
  const options = parseScaleOptions(argv, config.author);
  if (options === null) return EXIT.ok;
  const answer = await askScaler(requestOf(options), overrideAnswer, config);
  print(options.asJson ? JSON.stringify(answer) : describeAnswer(answer).join('\n'));
  return EXIT.ok;
});

function requestOf(options: ScaleOptions): ScalerRequest {
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

function describeAnswer(answer: z.infer<typeof overrideAnswer>): string[] {
  if ('ended' in answer)
    return answer.ended === null
      ? ['There was no override to end.']
      : ['Ended:', ...describeOverride(answer.ended)];
  if (answer.override === null) return ['No override: the scaler decides.'];
  return [...describeOverride(answer.override), ...limitNotes(answer.override, answer.capacityMax)];
}

function limitNotes(current: NonNullable<OverrideJson>, capacityMax: number): string[] {
  if (current === 'unknown' || current.mode === 'max') return [];
  const wanted = [...current.meaning.matchAll(/at least (\d+)/g)].map(([, count]) => Number(count));
  if (Math.max(current.capacity ?? 0, ...wanted) <= capacityMax) return [];
  return [`  The fleet has at most ${capacityMax}: an override does not raise this limit.`];
}

function describeOverride(current: NonNullable<OverrideJson>): string[] {
  if (current === 'unknown') return ['Cannot read the override. The log of the scaler has the cause.'];
  const { meaning, author, reason, setAt, expiresAt } = current;
  return [
    `Override: ${meaning}.`,
    `  by ${author}, since ${instantText(setAt)}, until ${instantText(expiresAt)}`,
    `  because: ${reason}`,
  ];
}
