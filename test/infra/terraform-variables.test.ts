/**
 * What the ground tells each program, by its text: every variable that a `config.ts` reads is set in `infra/terraform`, or left
 * out here with a reason; and nothing is set that nobody reads. `test/terraform/programs.test.ts` asks the same of the real
 * Terraform, where that is, and whether the programs take the values.
 */
import { globSync, readFileSync } from 'node:fs';

import { describe, expect, test } from 'vitest';

const GROUND = 'infra/terraform';
/** What every service reads. */
const OF_SERVICES = 'shared/runtime/service-variables.ts';

interface Told {
  /** Maps of variables, by the name of the local value. */
  readonly maps: readonly string[];
  /** A script that adds some of its own. */
  readonly script?: string;
  readonly leftOut: readonly string[];
  /** Read by another program than the service itself. */
  readonly besides: readonly string[];
}

const PROGRAMS: Readonly<Record<string, Told>> = {
  producer: {
    maps: ['app_env', 'producer_env', 'redis_secrets'],
    leftOut: [],
    besides: [],
  },
  worker: {
    maps: ['worker_env'],
    // What a machine knows of itself.
    script: 'templates/framefleet-worker.sh.tftpl',
    // Any free port: several workers share a machine, and nobody gathers metrics there.
    leftOut: ['FRAMEFLEET_HTTP_PORT'],
    besides: [],
  },
  scaler: {
    maps: ['app_env', 'scaler_env', 'scaler_secrets', 'redis_secrets'],
    // Another way to say FRAMEFLEET_SCALER_TOKEN.
    leftOut: ['FRAMEFLEET_SCALER_TOKEN_FILE'],
    // For `npm run scale`, typed inside the container.
    besides: ['FRAMEFLEET_SCALER_URL'],
  },
};

const ground = globSync(`${GROUND}/*.tf`)
  .toSorted()
  .map((name) => readFileSync(name, 'utf8'))
  .join('\n');

const namesIn = (text: string): string[] =>
  [...new Set(text.match(/FRAMEFLEET_[A-Z_]*[A-Z]/g) ?? [])].toSorted();
const readBy = (...files: readonly string[]): string[] =>
  namesIn(files.map((file) => readFileSync(file, 'utf8')).join('\n'));

/** The text of a local value: from its name to the line that closes it, which is indented as the name is. */
function textOfLocal(name: string): string {
  const text = new RegExp(`^ {2}${name} += [\\s\\S]*?^ {2}[})\\]]`, 'm').exec(ground)?.[0];
  if (text === undefined) throw new Error(`expected a local value ${name} of several lines`);
  return text;
}

/** The variables that a map sets: its keys, not what its values or comments speak of. */
const keysOf = (map: string): string[] =>
  [...textOfLocal(map).matchAll(/^[ {]*(FRAMEFLEET_[A-Z_]+) += /gm)].map(([, name]) => name ?? '');

function toldTo({ maps, script }: Told): string[] {
  const own = script === undefined ? '' : readFileSync(`${GROUND}/${script}`, 'utf8');
  return [...maps.flatMap(keysOf), ...[...own.matchAll(/--env "(\w+)=/g)].map(([, name]) => name ?? '')];
}

describe.each(Object.entries(PROGRAMS))('%s', (room, program) => {
  const read = readBy(`${room}/config.ts`, OF_SERVICES);

  test('is told every variable it reads but for what is left out on purpose, and nothing else', () => {
    expect(read.length).toBeGreaterThan(10);
    const accounted = [...new Set(toldTo(program)), ...program.leftOut];
    expect(accounted.toSorted()).toEqual([...read, ...program.besides].toSorted());
  });

  test('is given the maps that were looked at', () => {
    // A map that nobody passes on would look as well as one that is.
    const unused = program.maps.filter((map) => !new RegExp(`\\blocal\\.${map}\\b`).test(ground));
    expect(unused).toEqual([]);
  });
});

test('no word of the ground is a variable that nobody reads', () => {
  const known = new Set(readBy(...globSync('{producer,worker,scaler}/**/config.ts'), OF_SERVICES));
  const templates = globSync(`${GROUND}/templates/*`).map((name) => readFileSync(name, 'utf8'));
  const named = namesIn([ground, ...templates].join('\n'));
  expect(named.length).toBeGreaterThan(40);
  expect(named.filter((name) => !known.has(name))).toEqual([]);
});

test('what is put into .env for the commands at a desk is what they read', () => {
  const commands = readBy(
    'producer/cli/enqueue/config.ts',
    'producer/cli/config.ts',
    'scaler/cli/config.ts',
    'infra/doctor/config.ts',
  );
  const env = /^output "env" \{[\s\S]*?^\}/m.exec(ground)?.[0] ?? '';
  expect(namesIn(env)).toContain('FRAMEFLEET_MEDIA_STORAGE');
  expect(namesIn(env).filter((name) => !commands.includes(name))).toEqual([]);
});
