/** What is no message of ours: hostile, damaged, or newer than this program. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { BATCH_FRAMES_MAX, ERROR_TEXT_CHARACTERS_MAX, FRAMES_MAX } from '../../../shared/contract/limits.ts';
import {
  batchMessage,
  decodeMessage,
  encodeMessage,
  resultMessage,
} from '../../../shared/contract/messages.ts';
import { buildBatch } from '../../support/build-batch.ts';
import { anyText } from '../../support/build-text.ts';

const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64');

test('garbage is malformed with a short reason, and never throws', () => {
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

test('a valid message that was damaged on its way never throws, and what is taken is sound', () => {
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
  ['a job outside its folder', { jobId: '../abc' }],
  ['a model outside its folder', { model: { ...buildBatch().model, name: 'a/../b' } }],
  ['a model that is not pinned', { model: { ...buildBatch().model, sha256: 'A'.repeat(64) } }],
  ['a frame below zero', { frameStart: -1 }],
  ['half a frame', { frameEnd: 30.5 }],
  ['no frames', { frameEnd: 30 }],
  ['frames backwards', { frameStart: 40, frameEnd: 30 }],
  ['too many frames', { frameEnd: 30 + BATCH_FRAMES_MAX + 1 }],
  ['frames past the last', { frameStart: FRAMES_MAX, frameEnd: FRAMES_MAX + 1 }],
  ['a parameter with a slash in its name', { parameters: { 'a/b': '' } }],
  ['a parameter without end', { parameters: { style: 'x'.repeat(201) } }],
  ['a version that was never', { version: 0 }],
  ['a version that is a text', { version: '2' }],
])('a batch of %s is malformed', (_, fields) => {
  expect(decodeMessage(base64(buildBatch()), batchMessage).kind).toBe('valid');
  expect(decodeMessage(base64({ ...buildBatch(), ...fields }), batchMessage).kind).toBe('malformed');
});

test.each([
  ['with a range that is empty', { scored: [[5, 5]] }],
  ['with a range that is backwards', { scored: [[6, 5]] }],
  ['with a reason for no frame', { failed: [{ kind: 'storage', message: '', frames: [] }] }],
  [
    'with a reason without end',
    { failed: [{ kind: 'storage', message: 'x'.repeat(ERROR_TEXT_CHARACTERS_MAX + 1), frames: [[5, 6]] }] },
  ],
  ['with a failure of no kind we know', { failed: [{ kind: 'magic', message: '', frames: [[5, 6]] }] }],
  ['that took less than no time', { wallSeconds: -1 }],
])('a result %s is malformed', (_, fields) => {
  const stageSeconds = { fetch: 0, decode: 0, infer: 0, encode: 0, store: 0 };
  const counts = { framesRun: 0, megapixels: 0, wallSeconds: 0, stageSeconds };
  const { version, jobId, batchIndex, epoch } = buildBatch();
  const sound = {
    version,
    jobId,
    batchIndex,
    epoch,
    worker: 'vm-0',
    scored: [[5, 6]],
    failed: [],
    ...counts,
  };
  expect(decodeMessage(base64(sound), resultMessage).kind).toBe('valid');
  expect(decodeMessage(base64({ ...sound, ...fields }), resultMessage).kind).toBe('malformed');
});

test('a message of a newer version is told apart, whatever else it holds', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2 }), fc.dictionary(fc.string(), fc.jsonValue()), (version, fields) => {
      expect(decodeMessage(base64({ ...fields, version }), batchMessage)).toEqual({ kind: 'newer', version });
    }),
  );
});
