/**
 * The environment, parsed once and completely: every bad variable is in one error, with what was expected and what was
 * found. It is handed in: only a room's `config.ts` knows where it comes from.
 */
import { z } from 'zod';

import { PermanentError } from './errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Throws CONFIG_INVALID. An empty variable counts as unset. */
export function parseEnvironment<S extends z.ZodObject>(schema: S, environment: Environment): z.infer<S> {
  const set = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(set);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => {
    const name = issue.path.map(String).join('.');
    const found = set[name];
    return `  ${name}: ${issue.message}; found ${found === undefined ? 'nothing' : describeValue(name, found)}`;
  });
  throw new PermanentError(
    'CONFIG_INVALID',
    `The environment is not complete or not valid:\n${faults.join('\n')}`,
    {
      hint: 'Set these variables (the README of each room lists them), or unset all of FRAMEFLEET_* to run locally.',
    },
  );
}

/** A connection string holds a key: it is never printed. */
function describeValue(name: string, value: string): string {
  return /STORAGE|TOKEN|KEY|SECRET|REDIS/.test(name) ? `${value.length} characters` : JSON.stringify(value);
}

/** A whole number within bounds, with a default. */
export function wholeNumber({ min, max, fallback }: { min: number; max: number; fallback: number }) {
  return z.coerce.number().int().min(min).max(max).default(fallback);
}

/** Seconds in the environment, milliseconds in the code: the one conversion. */
export function secondsAsMs({ min, max, fallback }: { min: number; max: number; fallback: number }) {
  return z.coerce
    .number()
    .min(min)
    .max(max)
    .default(fallback)
    .transform((value) => Math.round(value * 1000));
}

/** Items between commas, each read by `read`: undefined is a fault. */
export function listSetting<T>(read: (item: string) => T | undefined, expectation: string) {
  return z.string().transform((text, context) => {
    const items = text.split(',').map((item) => read(item.trim()));
    const good = items.filter((item) => item !== undefined);
    if (good.length === items.length) return good;
    context.addIssue({ code: 'custom', message: expectation });
    return z.NEVER;
  });
}
