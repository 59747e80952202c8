import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { redriveBlob } from '../../../shared/contract/blob-names.ts';
import {
  type RedriveRequest,
  decodeRedriveRequest,
  encodeRedriveRequest,
  jobIdOfRedrive,
} from '../../../shared/contract/redrive-request.ts';
import { anyText } from '../../support/build-text.ts';

const REQUEST: RedriveRequest = {
  version: 1,
  poisonId: '5f2c7a34-inference-12',
  frames: [[12, 15]],
  requestedAt: '2026-11-23T06:15:02.000Z',
};

test('a request survives encoding and decoding', () => {
  expect(decodeRedriveRequest(encodeRedriveRequest(REQUEST))).toEqual(REQUEST);
});

test('decodeRedriveRequest returns undefined for any other text, and never throws', () => {
  fc.assert(
    fc.property(fc.oneof(anyText(), fc.json()), (text) => {
      expect(decodeRedriveRequest(text)).toBeUndefined();
    }),
  );
  for (const lie of [
    { version: 2 },
    { frames: [[5, 5]] },
    { frames: [[0, 100_000_000]] },
    { poisonId: '../x' },
  ]) {
    expect(decodeRedriveRequest(JSON.stringify({ ...REQUEST, ...lie }))).toBeUndefined();
  }
});

test('jobIdOfRedrive returns the job of a request, and undefined for any other name', () => {
  expect(jobIdOfRedrive(redriveBlob('job-1', 'a'))).toBe('job-1');
  for (const name of [
    'redrive/job-1',
    'redrive/job-1/',
    'redrive/job-1/a/b',
    'redrive/../a',
    'redrive/Job/a',
    'drain/job-1/a',
    'redrive/job-1/../a',
  ]) {
    expect(jobIdOfRedrive(name)).toBeUndefined();
  }
});
