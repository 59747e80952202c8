/** Runs the queries of a dashboard against Prometheus, with Grafana's built-in variables filled in as Grafana does. */
import { z } from 'zod';

import type { Target } from './dashboard-schema.ts';

export interface TimeRange {
  readonly fromSeconds: number;
  readonly toSeconds: number;
}

export interface Series {
  readonly name: string;
  /** Pairs of time in seconds and value, in order. Steps without a value are omitted. */
  readonly points: readonly (readonly [number, number])[];
}

/** Grafana's default scrape interval of a data source. It is also the shortest step, whatever the width of the panel. */
const SCRAPE_SECONDS = 15;

const sample = z.tuple([z.number(), z.string()]);
const response = z.discriminatedUnion('status', [
  z.object({ status: z.literal('error'), error: z.string() }),
  z.object({
    status: z.literal('success'),
    data: z.object({
      result: z.array(
        z.object({
          metric: z.record(z.string(), z.string()),
          value: sample.optional(),
          values: z.array(sample).optional(),
        }),
      ),
    }),
  }),
]);

export function stepSeconds(range: TimeRange, widthPixels: number): number {
  return Math.max(SCRAPE_SECONDS, Math.ceil((range.toSeconds - range.fromSeconds) / widthPixels));
}

/** Throws for a Grafana variable that is not supported here. `$1` belongs to a regular expression and stays. */
function fillVariables(expression: string, range: TimeRange, step: number): string {
  const known: Readonly<Record<string, string>> = {
    $__interval: `${step}s`,
    $__rate_interval: `${Math.max(step + SCRAPE_SECONDS, 4 * SCRAPE_SECONDS)}s`,
    $__range: `${Math.round(range.toSeconds - range.fromSeconds)}s`,
  };
  return expression.replaceAll(/\$\{?[A-Za-z_]\w*\}?|\[\[\w+\]\]/g, (variable) => {
    const value = known[variable];
    if (value === undefined) throw new Error(`unsupported variable ${variable} in ${expression}`);
    return value;
  });
}

/** Throws the error message of Prometheus if it rejects the query. */
export async function queryPrometheus(
  url: string,
  target: Target,
  range: TimeRange,
  step: number,
): Promise<Series[]> {
  const query = fillVariables(target.expr, range, step);
  const isInstant = 'instant' in target;
  const parameters = isInstant
    ? { query, time: String(range.toSeconds) }
    : {
        query,
        start: String(Math.floor(range.fromSeconds / step) * step),
        end: String(range.toSeconds),
        step: String(step),
      };
  const path = isInstant ? 'query' : 'query_range';
  const reply = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(parameters).toString()}`);
  const parsed = response.parse(await reply.json());
  if (parsed.status === 'error') throw new Error(`Prometheus rejects ${query}: ${parsed.error}`);
  return parsed.data.result
    .map(({ metric, value, values = value === undefined ? [] : [value] }) => ({
      name: target.legendFormat.replaceAll(/\{\{\s*(\w+)\s*\}\}/g, (_, label: string) => metric[label] ?? ''),
      points: values.map(([at, text]) => [at, Number(text)] as const),
    }))
    .filter(({ points }) => points.length > 0);
}
