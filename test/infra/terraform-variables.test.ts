/**
 * Environment variables in the Terraform files: every variable that a `config.ts` reads is set, or is omitted here with a reason, and
 * every variable that is set is read. `test/terraform/programs.test.ts` checks the same with the real Terraform, and that the programs
 * accept the values.
 */
import { globSync, readFileSync } from 'node:fs';

import { describe, expect, test } from 'vitest';

const TERRAFORM = 'infra/terraform';
/** The variables that every service reads. */
const SERVICE_VARIABLES = 'shared/runtime/service-variables.ts';

interface ProgramVariables {
  /** The names of the local values that map variables. */
  readonly maps: readonly string[];
  /** A script that adds variables. */
  readonly script?: string;
  readonly omitted: readonly string[];
  /** Read by another program in the same container. */
  readonly additional: readonly string[];
}

const PROGRAMS: Readonly<Record<string, ProgramVariables>> = {
  producer: {
    maps: ['app_env', 'producer_env', 'page_env', 'page_secrets', 'redis_secrets'],
    // The platform signs people in.
    omitted: ['FRAMEFLEET_PAGE_TOKEN'],
    additional: [],
  },
  worker: {
    maps: ['worker_env'],
    // Adds the id and name of the instance, and the GPU.
    script: 'templates/framefleet-worker.sh.tftpl',
    // Each worker uses a free port, because several share an instance, and their metrics are not scraped.
    omitted: ['FRAMEFLEET_HTTP_PORT'],
    additional: [],
  },
  scaler: {
    maps: ['app_env', 'scaler_env', 'scaler_secrets', 'redis_secrets'],
    // An alternative to FRAMEFLEET_SCALER_TOKEN.
    omitted: ['FRAMEFLEET_SCALER_TOKEN_FILE'],
    // For scaler/cli/scale.ts inside the container.
    additional: ['FRAMEFLEET_SCALER_URL'],
  },
};

const configuration = globSync(`${TERRAFORM}/*.tf`)
  .toSorted()
  .map((name) => readFileSync(name, 'utf8'))
  .join('\n');

const namesIn = (text: string): string[] =>
  [...new Set(text.match(/FRAMEFLEET_[A-Z_]*[A-Z]/g) ?? [])].toSorted();
const readBy = (...files: readonly string[]): string[] =>
  namesIn(files.map((file) => readFileSync(file, 'utf8')).join('\n'));

/** The text of a local value: from its name to the closing line with the same indentation. */
function textOfLocal(name: string): string {
  const text = new RegExp(`^ {2}${name} += [\\s\\S]*?^ {2}[})\\]]`, 'm').exec(configuration)?.[0];
  if (text === undefined) throw new Error(`expected a multi-line local value ${name}`);
  return text;
}

/** The keys of a map. Ignores variables in its values and comments. */
const keysOf = (map: string): string[] =>
  [...textOfLocal(map).matchAll(/^[ {]*(FRAMEFLEET_[A-Z_]+) += /gm)].map(([, name]) => name ?? '');

function passedTo({ maps, script }: ProgramVariables): string[] {
  const own = script === undefined ? '' : readFileSync(`${TERRAFORM}/${script}`, 'utf8');
  return [...maps.flatMap(keysOf), ...[...own.matchAll(/--env "(\w+)=/g)].map(([, name]) => name ?? '')];
}

describe.each(Object.entries(PROGRAMS))('%s', (room, program) => {
  const read = readBy(`${room}/config.ts`, SERVICE_VARIABLES);

  test('gets every variable that it reads, except the omitted ones, and no other', () => {
    expect(read.length).toBeGreaterThan(10);
    const accountedFor = [...new Set(passedTo(program)), ...program.omitted];
    expect(accountedFor.toSorted()).toEqual([...read, ...program.additional].toSorted());
  });

  test('uses the maps that the test reads', () => {
    // Otherwise an unused map would pass the test above.
    const unused = program.maps.filter((map) => !new RegExp(`\\blocal\\.${map}\\b`).test(configuration));
    expect(unused).toEqual([]);
  });
});

test('every variable in the configuration is read by a program', () => {
  const known = new Set(readBy(...globSync('{producer,worker,scaler}/**/config.ts'), SERVICE_VARIABLES));
  const templates = globSync(`${TERRAFORM}/templates/*`).map((name) => readFileSync(name, 'utf8'));
  const named = namesIn([configuration, ...templates].join('\n'));
  expect(named.length).toBeGreaterThan(40);
  expect(named.filter((name) => !known.has(name))).toEqual([]);
});

test('the npm commands read every variable of the output env', () => {
  const commands = readBy(
    'producer/cli/enqueue/config.ts',
    'shared/command/config.ts',
    'scaler/cli/config.ts',
    'infra/doctor/config.ts',
  );
  const env = /^output "env" \{[\s\S]*?^\}/m.exec(configuration)?.[0] ?? '';
  expect(namesIn(env)).toContain('FRAMEFLEET_MEDIA_STORAGE');
  expect(namesIn(env).filter((name) => !commands.includes(name))).toEqual([]);
});
