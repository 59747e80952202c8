/**
 * The benchmark: measures each figure several times, the rounds of the scenarios alternating, and prints median and spread.
 *
 *   npm run bench [-- --only producer-720,tail] [--rounds 5] [--label after] [--add] [--list]
 *
 * A round takes about 20 minutes. With --add, the values are added to those that the result has, so rounds can be run one by one.
 *
 * Writes `test/bench/results/<label>.json` (with machine and commit) and `.svg`. Where an earlier result with the label `before` exists,
 * the table and the plot show it beside the new one. Absolute times say little on a shared machine: the figures are ratios of two things
 * measured in the same round, wherever that is possible.
 */
import { execFileSync } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { Command, InvalidArgumentError } from 'commander';

import { testFolder } from '../support/servers.ts';
import { HAS_FOOTAGE } from './clips.ts';
import { drawResults } from './plot.ts';
import { type BenchResult, type MeasuredFigure, median, readResult } from './result.ts';
import { coldStart } from './rows/cold-start.ts';
import { deviceBusy, engines } from './rows/device.ts';
import { growth } from './rows/growth.ts';
import { jobCosts, warmJob } from './rows/job-costs.ts';
import { longJob } from './rows/long-job.ts';
import { producerCosts } from './rows/producer.ts';
import { wrapped } from './rows/wrapped.ts';
import { type Figure, type Scenario, meets } from './scenario.ts';

const SCENARIOS: readonly Scenario[] = [
  producerCosts,
  jobCosts,
  warmJob,
  deviceBusy,
  engines,
  longJob,
  coldStart,
  growth,
  ...(wrapped === undefined ? [] : [wrapped]),
];
const FIGURES: readonly Figure[] = SCENARIOS.flatMap(({ figures }) => figures);
const RESULTS = fileURLToPath(new URL('./results', import.meta.url));
const ROUNDS = 5;

const { only, rounds, label, add, list } = new Command('bench')
  .description('Measures what a job costs, and how it scales.')
  .option('--only <names>', 'figures to measure, separated by commas; their scenarios run', names)
  .option('--rounds <n>', `how often each is measured (default: ${ROUNDS})`, count, ROUNDS)
  .option('--label <name>', 'name of the result', 'latest')
  .option('--add', 'keeps the values that the result has, and adds to them')
  .option('--list', 'prints the names of all figures')
  .parse()
  .opts<{ only?: string[]; rounds: number; label: string; add?: boolean; list?: boolean }>();

if (list === true) {
  for (const { name, title } of FIGURES) print(`${name.padEnd(20)} ${title}`);
} else {
  await measureAll();
}

async function measureAll(): Promise<void> {
  const wanted = SCENARIOS.filter(({ figures }) =>
    figures.some(({ name }) => only === undefined || only.includes(name)),
  );
  const earlier =
    add === true ? ((await readResult(path.join(RESULTS, `${label}.json`)))?.figures ?? []) : [];
  const values = new Map(earlier.map((figure) => [figure.name, [...figure.values]]));
  for (let round = 1; round <= rounds; round += 1) {
    for (const scenario of wanted.filter(({ roundsMax = rounds }) => round <= roundsMax)) {
      const folder = await testFolder();
      try {
        const measured = await scenario.measure(folder);
        for (const [name, value] of Object.entries(measured)) {
          values.set(name, [...(values.get(name) ?? []), value]);
          process.stderr.write(`round ${round}: ${name} ${value.toFixed(3)}\n`);
        }
        await save(values);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    }
  }
  const before = label === 'before' ? undefined : await readResult(path.join(RESULTS, 'before.json'));
  printTable(resultOf(values).figures, before?.figures ?? []);
}

/** Written after each scenario: a run that is stopped leaves what it has measured. */
async function save(values: ReadonlyMap<string, readonly number[]>): Promise<void> {
  const result = resultOf(values);
  const before = label === 'before' ? undefined : await readResult(path.join(RESULTS, 'before.json'));
  await mkdir(RESULTS, { recursive: true });
  await writeFile(path.join(RESULTS, `${label}.json`), `${JSON.stringify(result, undefined, 2)}\n`);
  await writeFile(path.join(RESULTS, `${label}.svg`), drawResults(result, before));
}

function resultOf(values: ReadonlyMap<string, readonly number[]>): BenchResult {
  return {
    measuredAt: new Date().toISOString(),
    commit: execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim(),
    machine: {
      cores: cpus().length,
      cpu: cpus()[0]?.model ?? 'unknown',
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      node: process.version,
      footage: HAS_FOOTAGE ? 'real footage' : 'test picture',
    },
    figures: FIGURES.filter(({ name }) => values.has(name)).map((figure) => ({
      ...figure,
      values: values.get(figure.name) ?? [],
    })),
  };
}

function printTable(figures: readonly MeasuredFigure[], before: readonly MeasuredFigure[]): void {
  const width = Math.max(...figures.map(({ title }) => title.length));
  print(
    `${'figure'.padEnd(width)}  ${['before', 'median', 'min', 'max', 'target'].map(cell).join('')}  unit`,
  );
  for (const figure of figures) {
    const { title, values, unit, against, target, name } = figure;
    const earlier = before.find((one) => one.name === name)?.values;
    const goal = target === undefined ? '' : 'max' in target ? `≤ ${target.max}` : `≥ ${target.min}`;
    const verdict = meets(figure, median(values)) === false ? '  missed' : '';
    const numbers = [
      earlier === undefined ? undefined : median(earlier),
      median(values),
      Math.min(...values),
      Math.max(...values),
    ];
    const cells = numbers.map((value) => cell(value === undefined ? '' : value.toPrecision(3)));
    print(
      `${title.padEnd(width)}  ${cells.join('')}${cell(goal)}  ${unit}${against === undefined ? '' : `, against ${against}`}${verdict}`,
    );
  }
}

function cell(text: string): string {
  return text.padStart(9);
}

function names(text: string): string[] {
  const found = text.split(',');
  const unknown = found.find((name) => !FIGURES.some((figure) => figure.name === name));
  if (unknown !== undefined)
    throw new InvalidArgumentError(`There is no figure ${unknown}. --list prints all names.`);
  return found;
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('Expected a whole number from 1.');
  return value;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
