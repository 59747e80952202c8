import { expect, test } from 'vitest';

import { capBlob } from '../../../shared/contract/blob-names.ts';
import { type JobCap, decodeJobCap, encodeJobCap, jobIdOfCap } from '../../../shared/contract/cap.ts';

const CAP: JobCap = { version: 1, jobId: 'job-1', spendingMax: 5, setAt: '2026-11-23T06:15:02.000Z' };

test('a cap survives encoding and decoding, and so does the removal of a cap', () => {
  expect(decodeJobCap(encodeJobCap(CAP), 'job-1')).toEqual(CAP);
  const none = { ...CAP, spendingMax: null };
  expect(decodeJobCap(encodeJobCap(none), 'job-1')).toEqual(none);
});

test.each([
  ['an empty text', ''],
  ['a cap of another job', encodeJobCap({ ...CAP, jobId: 'job-2' })],
  ['a cap of a newer version', JSON.stringify({ ...CAP, version: 2 })],
  ['a cap of 0', JSON.stringify({ ...CAP, spendingMax: 0 })],
  ['a cap whose amount is text', JSON.stringify({ ...CAP, spendingMax: '5' })],
])('decodeJobCap returns undefined for %s', (_, text) => {
  expect(decodeJobCap(text, 'job-1')).toBeUndefined();
});

test('jobIdOfCap returns the job of a cap, and undefined for any other name', () => {
  expect(capBlob('job-1')).toBe('caps/job-1');
  expect(jobIdOfCap(capBlob('job-1'))).toBe('job-1');
  expect(() => capBlob('../override')).toThrow(RangeError);
  for (const name of ['caps/', 'caps/../override', 'caps/job-1/x', 'drain/job-1', 'override'])
    expect(jobIdOfCap(name)).toBeUndefined();
});
