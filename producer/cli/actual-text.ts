/** What a job took, as rows of text: time by stage, machine time by part, and money. PURE. */
import { clockTime } from '../../shared/command/text.ts';
import type { AmountByPart, JobActual } from '../../shared/contract/job-actual.ts';

const NAMES: readonly (readonly [Exclude<keyof AmountByPart, 'total' | 'idleExpected'>, string])[] = [
  ['inference', 'model'],
  ['other', 'other work'],
  ['boot', 'boot'],
  ['idle', 'idle'],
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

/** What is charged, with its parts, and apart from it what the machines will take when the job has ended. */
function partsText(parts: AmountByPart, textOf: (amount: number) => string): string {
  const { total, idleExpected } = parts;
  const each = NAMES.filter(([part]) => parts[part] > 0).map(
    ([part, name]) => `${name} ${textOf(parts[part])}`,
  );
  const charged = textOf(total - idleExpected);
  return [
    each.length === 0 ? charged : `${charged}: ${each.join(', ')}`,
    ...(idleExpected === 0 ? [] : [`and ${textOf(idleExpected)} expected for the idle window after the job`]),
  ].join('; ');
}

function timeText(ms: number): string {
  return clockTime(ms / 1000);
}

function moneyText(micros: number): string {
  return String(Number((micros / 1e6).toPrecision(3)));
}
