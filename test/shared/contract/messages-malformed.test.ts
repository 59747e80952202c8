/** Messages that cannot be decoded: hostile, damaged, or from a newer release. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { BATCH_FRAMES_MAX, ERROR_TEXT_CHARACTERS_MAX, FRAMES_MAX } from '../../../shared/contract/limits.ts';
import {
  MESSAGE_VERSION,
  batchMessage,
  decodeMessage,
  encodeMessage,
  resultMessage,
} from '../../../shared/contract/messages.ts';
import { badBatches } from '../../support/bad-batches.ts';
import { buildBatch } from '../../support/build-batch.ts';
import { buildResult } from '../../support/build-job.ts';
import { anyText } from '../../support/build-text.ts';

const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64');

test('arbitrary text is malformed with a short reason, and never throws', () => {
  const garbage = fc.oneof(anyText(), fc.base64String(), fc.jsonValue().map(base64));
  fc.assert(
    fc.property(garbage, (text) => {
      const decoded = decodeMessage(text, batchMessage);
      expect(decoded).toEqual({ kind: 'malformed', reason: expect.any(String) as string });
      expect(decoded.kind === 'malformed' && decoded.reason.length).toBeLessThanOrEqual(
        ERROR_TEXT_CHARACTERS_MAX,
      );
    }),
  );
});

test('a damaged message never throws, and is only accepted if it is valid', () => {
  const sound = encodeMessage(buildBatch());
  fc.assert(
    fc.property(fc.nat({ max: sound.length - 1 }), anyText({ maxLength: 3 }), (at, text) => {
      const decoded = decodeMessage(sound.slice(0, at) + text + sound.slice(at + 1), batchMessage);
      expect(['valid', 'newer', 'malformed']).toContain(decoded.kind);
      if (decoded.kind !== 'valid') return;
      const { frameStart, frameEnd } = decoded.message;
      expect(frameEnd - frameStart).toBeGreaterThan(0);
    }),
  );
});

test.each(Object.keys(buildBatch()))(
  'a batch without its %s is malformed, and the reason names it',
  (field) => {
    const rest = Object.fromEntries(Object.entries(buildBatch()).filter(([name]) => name !== field));
    const reason = expect.stringContaining(field) as string;
    expect(decodeMessage(base64(rest), batchMessage)).toEqual({ kind: 'malformed', reason });
  },
);

test.each([
  ['with an invalid job id', { jobId: '../abc' }],
  ['with an invalid model name', { model: { ...buildBatch().model, name: 'a/../b' } }],
  ['with a model without a valid hash', { model: { ...buildBatch().model, sha256: 'A'.repeat(64) } }],
  ['with a negative frame index', { frameStart: -1 }],
  ['with a fractional frame index', { frameEnd: 30.5 }],
  ['without frames', { frameEnd: 30 }],
  ['with a reversed range', { frameStart: 40, frameEnd: 30 }],
  ['with too many frames', { frameEnd: 30 + BATCH_FRAMES_MAX + 1 }],
  ['with frames beyond the maximum', { frameStart: FRAMES_MAX, frameEnd: FRAMES_MAX + 1 }],
  ['with a slash in a parameter name', { parameters: { 'a/b': '' } }],
  ['with a parameter that is too long', { parameters: { style: 'x'.repeat(201) } }],
  ['with version 0', { version: 0 }],
  ['of an older version', { version: MESSAGE_VERSION - 1 }],
  ['with a version that is a string', { version: String(MESSAGE_VERSION + 1) }],
])('a batch %s is malformed', (_, fields) => {
  expect(decodeMessage(base64(buildBatch()), batchMessage).kind).toBe('valid');
  expect(decodeMessage(base64({ ...buildBatch(), ...fields }), batchMessage).kind).toBe('malformed');
});

test('a batch with one mistake is malformed, whatever the field', () => {
  const bad = badBatches(buildBatch());
  const accepted = bad.filter(({ json }) => decodeMessage(base64(json), batchMessage).kind !== 'malformed');
  expect(accepted.map(({ name }) => name)).toEqual([]);
  const mistaken = new Set(bad.map(({ name }) => name.replace(/: .*/s, '')));
  expect(fieldsOf(buildBatch()).filter((field) => !mistaken.has(field))).toEqual([]);
});

/** The paths of all fields, and of those in them. Names of parameters are not fields. */
function fieldsOf(value: object, prefix = ''): string[] {
  return Object.entries(value).flatMap(([name, inner]: [string, unknown]) => {
    const path = `${prefix}${name}`;
    const hasFields =
      typeof inner === 'object' && inner !== null && !Array.isArray(inner) && path !== 'parameters';
    return hasFields ? [path, ...fieldsOf(inner, `${path}.`)] : [path];
  });
}

test.each([
  ['with an empty range', { scored: [[5, 5]] }],
  ['with a reversed range', { scored: [[6, 5]] }],
  ['with a failure without frames', { failed: [{ kind: 'storage', message: '', frames: [] }] }],
  [
    'with a reason that is too long',
    { failed: [{ kind: 'storage', message: 'x'.repeat(ERROR_TEXT_CHARACTERS_MAX + 1), frames: [[5, 6]] }] },
  ],
  ['with an unknown kind of failure', { failed: [{ kind: 'magic', message: '', frames: [[5, 6]] }] }],
  ['with a negative duration', { wallSeconds: -1 }],
  ['of a split that does not exist', { splitNumber: 3 }],
  ['with a mismatch that is too long', { mismatch: 'x'.repeat(ERROR_TEXT_CHARACTERS_MAX + 1) }],
])('a result %s is malformed', (_, fields) => {
  const sound = buildResult('job-1', { scored: [[5, 6]] });
  expect(decodeMessage(base64(sound), resultMessage).kind).toBe('valid');
  expect(decodeMessage(base64({ ...sound, ...fields }), resultMessage).kind).toBe('malformed');
});

test('a message of a newer version is recognized whatever else it contains', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: MESSAGE_VERSION + 1 }),
      fc.dictionary(fc.string(), fc.jsonValue()),
      (version, fields) => {
        expect(decodeMessage(base64({ ...fields, version }), batchMessage)).toEqual({
          kind: 'newer',
          version,
        });
      },
    ),
  );
});
