import { expect, test } from 'vitest';

import { capBlob } from '../../../shared/contract/blob-names.ts';
import { type JobCap, decodeJobCap, encodeJobCap, jobIdOfCap } from '../../../shared/contract/cap.ts';

const CAP: JobCap = { version: 1, jobId: 'job-1', spendingMax: 5, setAt: '2026-11-23T06:15:02.000Z' };

test('a cap is read as it was written, and one that lifts it, too', () => {
  expect(decodeJobCap(encodeJobCap(CAP), 'job-1')).toEqual(CAP);
  const none = { ...CAP, spendingMax: null };
  expect(decodeJobCap(encodeJobCap(none), 'job-1')).toEqual(none);
});

test.each([
  ['nothing', ''],
  ["another job's", encodeJobCap({ ...CAP, jobId: 'job-2' })],
  ['a newer version', JSON.stringify({ ...CAP, version: 2 })],
  ['an amount of nothing', JSON.stringify({ ...CAP, spendingMax: 0 })],
  ['an amount that is text', JSON.stringify({ ...CAP, spendingMax: '5' })],
])('%s is no cap', (_, text) => {
  expect(decodeJobCap(text, 'job-1')).toBeUndefined();
});

test('its name leads to the job, and no other name does', () => {
  expect(capBlob('job-1')).toBe('caps/job-1');
  expect(jobIdOfCap(capBlob('job-1'))).toBe('job-1');
  expect(() => capBlob('../override')).toThrow(RangeError);
  for (const name of ['caps/', 'caps/../override', 'caps/job-1/x', 'drain/job-1', 'override'])
    expect(jobIdOfCap(name)).toBeUndefined();
});
