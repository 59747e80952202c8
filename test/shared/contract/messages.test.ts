import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import * as limits from '../../../shared/contract/limits.ts';
import {
  type BatchMessage,
  failureKind,
  MESSAGE_VERSION,
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
  frames: fc.nat({ max: FRAMES_MAX - 1 }).map((index) => [[index, index + 1] as const]),
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

function result(fields: Partial<ResultMessage>): ResultMessage {
  const { jobId, batchIndex, epoch, splitNumber } = buildBatch();
  const stageSeconds = { fetch: 1, decode: 1, infer: 1, encode: 1, store: 1.5 };
  const counts = { underway: 512, framesRun: 512, megapixels: 1061.683, wallSeconds: 30.123, stageSeconds };
  return {
    version: MESSAGE_VERSION,
    jobId,
    batchIndex,
    epoch,
    splitNumber,
    worker: 'w'.repeat(63),
    scored: [],
    failed: [],
    ...counts,
    ...fields,
  };
}

test('a batch survives encoding and decoding', () => {
  fc.assert(
    fc.property(batches, (message) => {
      expect(decodeMessage(encodeMessage(message), batchMessage)).toEqual({ kind: 'valid', message });
    }),
  );
});

test('the largest result fits into one message: every second frame, with reasons of the maximum length', () => {
  const frames = Array.from(
    { length: BATCH_FRAMES_MAX },
    (_, offset) => FRAMES_MAX - BATCH_FRAMES_MAX + offset,
  );
  const even = frames.filter((frame) => frame % 2 === 0);
  const odd = frames.filter((frame) => frame % 2 === 1);
  const share = odd.length / FAILURE_REASONS_MAX;
  const failed = Array.from({ length: FAILURE_REASONS_MAX }, (_, reason) => ({
    kind: 'inference' as const,
    message: '語'.repeat(ERROR_TEXT_CHARACTERS_MAX),
    frames: toRanges(odd.slice(reason * share, (reason + 1) * share)),
  }));
  const mismatch = '語'.repeat(ERROR_TEXT_CHARACTERS_MAX);
  const message = result({ scored: toRanges(even), failed, mismatch, delaySeconds: 3600 });
  expect(decodeMessage(encodeMessage(message), resultMessage)).toEqual({ kind: 'valid', message });
});

test('the largest batch with the longest history fits into one message', () => {
  const frameStart = FRAMES_MAX - BATCH_FRAMES_MAX;
  const share = BATCH_FRAMES_MAX / BATCH_HISTORY_FAILURES_MAX;
  const failed = Array.from({ length: BATCH_HISTORY_FAILURES_MAX }, (_, group) => ({
    frames: Array.from({ length: share / 2 }, (__, index) => {
      const frame = frameStart + group * share + index * 2;
      return [frame, frame + 1] as const;
    }),
    kind: 'inference' as const,
    attempts: Number.MAX_SAFE_INTEGER,
    worker: 'w'.repeat(63),
  }));
  const pieces = Array.from({ length: 513 }, (_, piece) => {
    return [frameStart + piece - 1, frameStart + piece] as const;
  });
  const history = { failures: failed, refusedBy: Array.from({ length: 8 }, () => 'w'.repeat(63)) };
  const parameters = { style: '語'.repeat(200) };
  const message = buildBatch({ frameStart, frameEnd: FRAMES_MAX, pieces, parameters, history });
  expect(decodeMessage(encodeMessage(message), batchMessage)).toEqual({ kind: 'valid', message });
});

test('encoding throws for a message that is too large for the queue', () => {
  const empty = JSON.stringify(buildBatch({ parameters: { style: '' } }));
  const room = limits.MESSAGE_JSON_BYTES_MAX - Buffer.byteLength(empty);
  expect(encodeMessage(buildBatch({ parameters: { style: 'x'.repeat(room) } }))).toHaveLength(64 * 1024);
  const tooLarge = buildBatch({ parameters: { style: `${'x'.repeat(room - 1)}é` } });
  expect(() => encodeMessage(tooLarge)).toThrow(RangeError);
});

test('an error text is reduced to one line of limited length', () => {
  expect(cutText(' cannot\n\tread  it ')).toBe('cannot read it');
  expect(cutText('x'.repeat(ERROR_TEXT_CHARACTERS_MAX))).toBe('x'.repeat(ERROR_TEXT_CHARACTERS_MAX));
  expect(cutText('x'.repeat(500))).toBe(`${'x'.repeat(ERROR_TEXT_CHARACTERS_MAX - 1)}…`);
});
