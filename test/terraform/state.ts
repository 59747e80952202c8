/** Access to the state after an apply and to its plan. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

import { inject } from 'vitest';

export interface Resource {
  readonly address: string;
  readonly mode: 'managed' | 'data';
  readonly type: string;
  readonly name: string;
  readonly index?: string | number;
  readonly values: Readonly<Record<string, unknown>>;
  readonly sensitive_values: unknown;
}

export interface TerraformState {
  readonly resources: readonly Resource[];
  readonly outputs: Readonly<Record<string, { readonly value: unknown; readonly sensitive?: boolean }>>;
  /** The resources of one type. */
  ofType(type: string): readonly Resource[];
  /** The only resource of this type and name. Throws if there is none or more than one. */
  only(type: string, name: string): Resource;
}

export type Size = 'small' | 'full';
export const SIZES: readonly Size[] = ['small', 'full'];

interface State {
  readonly values: {
    readonly root_module: { readonly resources: readonly Resource[] };
    readonly outputs: TerraformState['outputs'];
  };
}

/** The state before destroy. */
export function stateOf(size: Size): TerraformState {
  const { values } = read(size, 'state.json') as State;
  const resources = values.root_module.resources.filter(({ mode }) => mode === 'managed');
  const ofType = (type: string) => resources.filter((one) => one.type === type);
  return {
    resources,
    outputs: values.outputs,
    ofType,
    only(type, name) {
      const [found, ...more] = ofType(type).filter((one) => one.name === name);
      if (found === undefined || more.length > 0)
        throw new Error(`expected one ${type}.${name}, found ${found === undefined ? 0 : 1 + more.length}`);
      return found;
    },
  };
}

export const plan = (size: Size): unknown => read(size, 'plan.json');

/** The value at a path, or undefined. */
export function at(value: unknown, ...steps: readonly (string | number)[]): unknown {
  let current = value;
  for (const step of steps) {
    if (typeof current !== 'object' || current === null) return undefined;
    current = (current as Record<string | number, unknown>)[step];
  }
  return current;
}

/** The value as a list; empty if it is not one. */
export const list = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? (value as unknown[]) : [];

export interface PlainVariables {
  readonly [name: string]: string;
}

/** The environment of the only container of an app: plain values, and the names of secrets. */
export function environmentOf(app: Resource): {
  readonly plain: PlainVariables;
  readonly secret: readonly string[];
} {
  const entries = list(at(app.values, 'template', 0, 'container', 0, 'env'));
  const isSecret = (entry: unknown): boolean => Boolean(at(entry, 'secret_name'));
  const name = (entry: unknown): string => String(at(entry, 'name'));
  return {
    plain: Object.fromEntries(
      entries
        .filter((entry) => !isSecret(entry))
        .map((entry) => [name(entry), String(at(entry, 'value'))] as const),
    ),
    secret: entries.filter(isSecret).map(name).toSorted(),
  };
}

/** The cloud-init data of a scale set. */
export const bootTextOf = (scaleSet: Resource): string =>
  Buffer.from(String(scaleSet.values['custom_data']), 'base64').toString('utf8');

function read(size: Size, file: string): unknown {
  return JSON.parse(readFileSync(path.join(inject(size).folder, file), 'utf8'));
}
