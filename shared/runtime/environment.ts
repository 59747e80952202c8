/**
 * Parses the environment completely: one error lists every invalid variable, with the expected and the found value. The
 * environment is passed in: only the configuration of a room reads `process.env`.
 */
import { z } from 'zod';

import { PermanentError } from './errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Throws CONFIG_INVALID. An empty variable counts as unset. */
export function parseEnvironment<S extends z.ZodObject>(schema: S, environment: Environment): z.infer<S> {
  const set = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(set, { error: expectationOf });
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => {
    const name = issue.path.map(String).join('.');
    const found = set[name];
    return `  ${name}: ${issue.message}; found ${found === undefined ? 'nothing' : describeValue(name, found)}`;
  });
  throw new PermanentError(
    'CONFIG_INVALID',
    `The environment is incomplete or invalid:\n${faults.join('\n')}`,
    {
      hint: 'Set these variables (see docs/settings.md), or unset all FRAMEFLEET_* variables to run locally.',
    },
  );
}

/** The wording for schemas that have no message of their own. Undefined keeps zod's. */
function expectationOf(issue: z.core.$ZodRawIssue): string | undefined {
  const unit = 'origin' in issue && issue.origin === 'string' ? ' characters' : '';
  if (issue.code === 'too_small') return `expected at least ${issue.minimum}${unit}`;
  if (issue.code === 'too_big') return `expected at most ${issue.maximum}${unit}`;
  if (issue.code === 'invalid_value') return `expected one of ${issue.values.join(', ')}`;
  if (issue.code === 'invalid_format' && issue.format === 'url') return 'expected a URL';
  if (issue.code !== 'invalid_type') return undefined;
  if (issue.input === undefined) return 'expected a value';
  return issue.expected === 'int' ? 'expected a whole number' : `expected a ${issue.expected}`;
}

/** Connection strings and tokens are secrets: they are never printed. */
function describeValue(name: string, value: string): string {
  return /STORAGE|TOKEN|KEY|SECRET|REDIS/.test(name) ? `${value.length} characters` : JSON.stringify(value);
}

interface NumberSetting {
  readonly min: number;
  readonly max: number;
  /** The value of an unset variable. */
  readonly fallback: number;
}

/** A whole number within bounds, with a default. */
export function wholeNumber({ min, max, fallback }: NumberSetting) {
  return z.coerce.number().int().min(min).max(max).default(fallback);
}

/** Seconds in the environment, milliseconds in the code. This is the only conversion. */
export function secondsAsMs({ min, max, fallback }: NumberSetting) {
  return z.coerce
    .number()
    .min(min)
    .max(max)
    .default(fallback)
    .transform((value) => Math.round(value * 1000));
}

/** A comma-separated list. `parse` returns undefined for an invalid item; `expectation` is then the error message. */
export function listSetting<T>(parse: (item: string) => T | undefined, expectation: string) {
  return z.string().transform((text, context) => {
    const items = text.split(',').map((item) => parse(item.trim()));
    const parsed = items.filter((item) => item !== undefined);
    if (parsed.length === items.length) return parsed;
    context.addIssue({ code: 'custom', message: expectation });
    return z.NEVER;
  });
}
