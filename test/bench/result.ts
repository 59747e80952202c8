/** A result of the benchmark, as it is kept in `test/bench/results/`. */
import { readFile } from 'node:fs/promises';

import type { Figure } from './scenario.ts';

export interface MeasuredFigure extends Figure {
  /** One a round. */
  readonly values: readonly number[];
}

export interface BenchResult {
  readonly measuredAt: string;
  readonly commit: string;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly figures: readonly MeasuredFigure[];
}

export async function readResult(file: string): Promise<BenchResult | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as BenchResult);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}
