import { afterAll, beforeAll, expect, test } from 'vitest';

import {
  SourcePlans,
  putSourcePlan,
  readSourcePlan,
  splitInStorage,
} from '../../../producer/jobs/source-plans.ts';
import type { BlobStore } from '../../../shared/azure/blob-store.ts';
import { planBlob } from '../../../shared/contract/blob-names.ts';
import { firstSplit } from '../../support/build-job.ts';
import { BUILT_PLAN } from '../../support/build-plan.ts';
import { type TestStorage, startTestStorage } from '../../support/servers.ts';

let storage: TestStorage;
let blobs: BlobStore;

beforeAll(async () => {
  storage = await startTestStorage();
  ({ blobs } = storage);
});
afterAll(() => storage[Symbol.asyncDispose]());

/** Plans that record the names of the blobs that they read. */
function watchedPlans(): { plans: SourcePlans; reads: string[] } {
  const reads: string[] = [];
  const get: BlobStore['get'] = (container, name, options) => {
    reads.push(name);
    return blobs.get(container, name, options);
  };
  return { plans: new SourcePlans({ ...blobs, get }), reads };
}

test('a plan is read once for each split and epoch', async () => {
  const [first, second] = [firstSplit('job-1'), { jobId: 'job-1', splitNumber: 2 }];
  const decoded = { ...BUILT_PLAN, segmentFrames: 32 };
  await putSourcePlan(blobs, first, BUILT_PLAN);
  await putSourcePlan(blobs, second, decoded);
  const { plans, reads } = watchedPlans();
  for (let round = 0; round < 2; round += 1) {
    expect(await plans.of(first, 1)).toEqual(BUILT_PLAN);
    expect(await plans.of(second, 1)).toEqual(decoded);
    expect(await plans.of(second, 2)).toEqual(decoded);
  }
  expect(reads).toEqual([planBlob(first), planBlob(second), planBlob(second)]);
});

test('a plan that is missing or cannot be read is a transient error, and is read again', async () => {
  const split = firstSplit('job-late');
  const { plans } = watchedPlans();
  const refusal = { name: 'TransientError', code: 'STORAGE_UNAVAILABLE' };
  await expect(plans.of(split, 1)).rejects.toMatchObject(refusal);
  await blobs.put('pieces', planBlob(split), '{"version":1}');
  await expect(plans.of(split, 1)).rejects.toMatchObject(refusal);
  expect(await readSourcePlan(blobs, split)).toBeUndefined();
  await putSourcePlan(blobs, split, BUILT_PLAN);
  expect(await plans.of(split, 1)).toEqual(BUILT_PLAN);
});

test('the plan that was not used for the longest time is forgotten first', async () => {
  const splits = Array.from({ length: 65 }, (_, index) => firstSplit(`job-many-${index}`));
  for (const split of splits) await putSourcePlan(blobs, split, BUILT_PLAN);
  const [first, second, ...others] = splits;
  if (first === undefined || second === undefined) throw new Error('expected two splits');
  const { plans, reads } = watchedPlans();
  for (const split of [first, second, first, ...others, first, second]) await plans.of(split, 1);
  expect(reads).toEqual([...splits, second].map(planBlob));
});

test('the split in storage is the last one that has a plan, and the first if there is none', async () => {
  expect(await splitInStorage(blobs, 'job-3')).toBe(1);
  await putSourcePlan(blobs, firstSplit('job-3'), BUILT_PLAN);
  expect(await splitInStorage(blobs, 'job-3')).toBe(1);
  await putSourcePlan(blobs, { jobId: 'job-3', splitNumber: 2 }, BUILT_PLAN);
  expect(await splitInStorage(blobs, 'job-3')).toBe(2);
});

test('a plan that could not be read again is refused', async () => {
  const picture = { ...BUILT_PLAN.picture, sampleAspectRatio: { numerator: 70_000, denominator: 1 } };
  const split = firstSplit('job-odd');
  await expect(putSourcePlan(blobs, split, { ...BUILT_PLAN, picture })).rejects.toMatchObject({
    name: 'PermanentError',
    code: 'JOB_INVALID',
    message: expect.stringContaining('picture.sampleAspectRatio.numerator') as string,
  });
  expect(await blobs.stat('pieces', planBlob(split))).toBeUndefined();
});
