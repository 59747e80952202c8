/** What a job took, as rows of text: time by stage, machine time by part, and money. PURE. */
import { clockTime } from '../../shared/command/text.ts';
import type { AmountByPart, JobActual } from '../../shared/contract/job-actual.ts';

const NAMES: readonly (readonly [Exclude<keyof AmountByPart, 'total'>, string])[] = [
  ['inference', 'model'],
  ['other', 'other work'],
  ['boot', 'boot'],
  ['idle', 'idle'],
  ['idleExpected', 'idle window after the job (expected)'],
];

/** Labels and texts. */
export function actualRows({ machineMs, micros, stages, wallMs }: JobActual): (readonly [string, string])[] {
  const each = stages.map(({ name, from, to }) => `${name} ${timeText(Date.parse(to) - Date.parse(from))}`);
  return [
    ['Time', `${timeText(wallMs)}: ${each.join(', ')}`],
    ['Machines', partsText(machineMs, timeText)],
    ...(micros === null ? [] : [['Cost', partsText(micros, moneyText)] as const]),
  ];
}

function partsText(parts: AmountByPart, textOf: (amount: number) => string): string {
  const each = NAMES.filter(([part]) => parts[part] > 0).map(
    ([part, name]) => `${name} ${textOf(parts[part])}`,
  );
  return each.length === 0 ? textOf(parts.total) : `${textOf(parts.total)}: ${each.join(', ')}`;
}

function timeText(ms: number): string {
  return clockTime(ms / 1000);
}

function moneyText(micros: number): string {
  return String(Number((micros / 1e6).toPrecision(3)));
}
