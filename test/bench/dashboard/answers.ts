/** What a Prometheus answers to the questions of a dashboard, with Grafana's variables filled in as Grafana does. */
import { z } from 'zod';

import type { Target } from './dashboard.ts';

export interface Span {
  readonly fromSeconds: number;
  readonly toSeconds: number;
}

export interface Series {
  readonly name: string;
  /** Seconds and value, in order; what Prometheus did not have at a step is missing. */
  readonly points: readonly (readonly [number, number])[];
}

/** What Grafana takes a source for that does not say how often it scrapes: no finer step is asked for, whatever the panel's width. */
const SCRAPE_SECONDS = 15;

const sample = z.tuple([z.number(), z.string()]);
const answer = z.discriminatedUnion('status', [
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

export function stepSeconds(span: Span, widthPixels: number): number {
  return Math.max(SCRAPE_SECONDS, Math.ceil((span.toSeconds - span.fromSeconds) / widthPixels));
}

/** Throws for a variable that Grafana has and this has not. `$1` is a regular expression's. */
function filledIn(expression: string, span: Span, step: number): string {
  const known: Readonly<Record<string, string>> = {
    $__interval: `${step}s`,
    $__rate_interval: `${Math.max(step + SCRAPE_SECONDS, 4 * SCRAPE_SECONDS)}s`,
    $__range: `${Math.round(span.toSeconds - span.fromSeconds)}s`,
  };
  return expression.replaceAll(/\$\{?[A-Za-z_]\w*\}?|\[\[\w+\]\]/g, (variable) => {
    const value = known[variable];
    if (value === undefined) throw new Error(`expected a known variable in ${expression}, not ${variable}`);
    return value;
  });
}

/** Throws what Prometheus has against a question. */
export async function ask(url: string, target: Target, span: Span, step: number): Promise<Series[]> {
  const query = filledIn(target.expr, span, step);
  const isNow = 'instant' in target;
  const parameters = isNow
    ? { query, time: String(span.toSeconds) }
    : {
        query,
        start: String(Math.floor(span.fromSeconds / step) * step),
        end: String(span.toSeconds),
        step: String(step),
      };
  const place = `${url}/api/v1/${isNow ? 'query' : 'query_range'}?${new URLSearchParams(parameters).toString()}`;
  const reply = answer.parse(await (await fetch(place)).json());
  if (reply.status === 'error') throw new Error(`Prometheus refuses ${query}: ${reply.error}`);
  return reply.data.result
    .map(({ metric, value, values = value === undefined ? [] : [value] }) => ({
      name: target.legendFormat.replaceAll(/\{\{\s*(\w+)\s*\}\}/g, (_, label: string) => metric[label] ?? ''),
      points: values.map(([at, text]) => [at, Number(text)] as const),
    }))
    .filter(({ points }) => points.length > 0);
}
