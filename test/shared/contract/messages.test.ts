import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import * as limits from '../../../shared/contract/limits.ts';
import {
  type BatchMessage,
  failureKind,
  type ResultMessage,
  batchMessage,
  cutText,
  decodeMessage,
  encodeMessage,
  resultMessage,
} from '../../../shared/contract/messages.ts';
import { toRanges } from '../../../shared/contract/ranges.ts';
import { buildBatch } from '../../support/build-batch.ts';
import { anyText } from '../../support/build-text.ts';

const {
  BATCH_FRAMES_MAX,
  BATCH_HISTORY_FAILURES_MAX,
  ERROR_TEXT_CHARACTERS_MAX,
  FAILURE_REASONS_MAX,
  FRAMES_MAX,
} = limits;

const names = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,62}$/);
const failures = fc.record({
  frameIndex: fc.nat({ max: FRAMES_MAX }),
  kind: fc.constantFrom(...failureKind.options),
  attempts: fc.nat(),
  worker: names,
});
const batches: fc.Arbitrary<BatchMessage> = fc
  .record({
    batchIndex: fc.nat(),
    frameStart: fc.nat({ max: FRAMES_MAX - BATCH_FRAMES_MAX }),
    frames: fc.integer({ min: 1, max: BATCH_FRAMES_MAX }),
    parameters: fc.dictionary(names, anyText({ maxLength: 99 }), { maxKeys: 3 }),
    releases: fc.nat(),
    failed: fc.array(failures, { maxLength: 5 }),
    carefulFrame: fc.option(fc.nat({ max: FRAMES_MAX })),
  })
  .map(({ frames, releases, failed, carefulFrame, ...batch }) =>
    buildBatch({
      ...batch,
      frameEnd: batch.frameStart + frames,
      history: { releases, failures: failed, carefulFrame },
    }),
  );
const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64');

function result(fields: Partial<ResultMessage>): ResultMessage {
  const { jobId, batchIndex, epoch } = buildBatch();
  const stageSeconds = { fetch: 1, decode: 1, infer: 1, encode: 1, store: 1.5 };
  const counts = { framesRun: 512, megapixels: 1061.683, wallSeconds: 30.123, stageSeconds };
  return {
    version: 1,
    jobId,
    batchIndex,
    epoch,
    worker: 'w'.repeat(63),
    scored: [],
    failed: [],
    ...counts,
    ...fields,
  };
}

test('a batch comes out of its message as it went in', () => {
  fc.assert(
    fc.property(batches, (message) => {
      expect(decodeMessage(encodeMessage(message), batchMessage)).toEqual({ kind: 'valid', message });
    }),
  );
});

test('the largest result fits into one message: every second frame, every reason as long as can be', () => {
  const frames = Array.from(
    { length: BATCH_FRAMES_MAX },
    (_, offset) => FRAMES_MAX - BATCH_FRAMES_MAX + offset,
  );
  const even = frames.filter((frame) => frame % 2 === 0);
  const odd = frames.filter((frame) => frame % 2 === 1);
  const share = odd.length / FAILURE_REASONS_MAX;
  const failed = Array.from({ length: FAILURE_REASONS_MAX }, (_, reason) => ({
    kind: 'undecodable' as const,
    message: '語'.repeat(ERROR_TEXT_CHARACTERS_MAX),
    frames: toRanges(odd.slice(reason * share, (reason + 1) * share)),
  }));
  const message = result({ scored: toRanges(even), failed });
  expect(decodeMessage(encodeMessage(message), resultMessage)).toEqual({ kind: 'valid', message });
});

test('the largest batch fits with all of its history', () => {
  const frameStart = FRAMES_MAX - BATCH_FRAMES_MAX;
  const failed = Array.from({ length: BATCH_HISTORY_FAILURES_MAX }, (_, offset) => ({
    frameIndex: frameStart + offset,
    kind: 'undecodable' as const,
    attempts: Number.MAX_SAFE_INTEGER,
    worker: 'w'.repeat(63),
  }));
  const parameters = { style: '語'.repeat(200) };
  const message = buildBatch({ frameStart, frameEnd: FRAMES_MAX, parameters, history: { failures: failed } });
  expect(decodeMessage(encodeMessage(message), batchMessage)).toEqual({ kind: 'valid', message });
});

test('what does not fit on the queue is refused before it is sent', () => {
  const message = buildBatch({ parameters: { style: 'x'.repeat(limits.MESSAGE_JSON_BYTES_MAX) } });
  expect(() => encodeMessage(message)).toThrow(RangeError);
});

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

test('a message of a newer version is told apart, whatever else it holds', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2 }), fc.dictionary(fc.string(), fc.jsonValue()), (version, fields) => {
      expect(decodeMessage(base64({ ...fields, version }), batchMessage)).toEqual({ kind: 'newer', version });
    }),
  );
});

test('an error text is one line, cut to what a message carries', () => {
  expect(cutText(' cannot\n\tread  it ')).toBe('cannot read it');
  expect(cutText('x'.repeat(ERROR_TEXT_CHARACTERS_MAX))).toBe('x'.repeat(ERROR_TEXT_CHARACTERS_MAX));
  expect(cutText('x'.repeat(500))).toBe(`${'x'.repeat(ERROR_TEXT_CHARACTERS_MAX - 1)}…`);
});
