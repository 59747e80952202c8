/** Triggers that cannot become a job, and the errors in their status. */
import { afterAll, beforeAll, expect, test } from 'vitest';

import { sourceBlob, triggerBlob } from '../../../shared/contract/blob-names.ts';
import type { JobStatus } from '../../../shared/contract/job.ts';
import { type IntakeFixture, startIntakeFixture } from '../../support/intake-fixture.ts';
import { STYLES, uploadJob } from '../../support/upload-job.ts';

let fixture: IntakeFixture;

beforeAll(async () => {
  fixture = await startIntakeFixture();
});
afterAll(() => fixture[Symbol.asyncDispose]());

/** The error in the status of a refused job. Asserts that the ledger does not know the job. */
async function refusalOf(jobId: string): Promise<JobStatus['error']> {
  await fixture.scan();
  expect(await fixture.control.ledger.isKnown(jobId)).toBe(false);
  const status = await fixture.statusOf(jobId);
  expect(status).toMatchObject({ jobId, state: 'failed', result: null });
  return status?.error ?? null;
}

test('an incomplete or replaced upload is refused with SOURCE_CHANGED', async () => {
  const { blobs } = fixture;
  await uploadJob(blobs, 'job-short', ({ source }) => ({
    source: { ...source, sizeBytes: source.sizeBytes + 1 },
  }));
  const { source } = await uploadJob(blobs, 'job-replaced');
  await blobs.put('incoming', sourceBlob('job-replaced', source.name), 'the video of job-REPLACED');
  await uploadJob(blobs, 'job-missing', (valid) => ({ source: { ...valid.source, name: 'other.mp4' } }));

  for (const jobId of ['job-short', 'job-replaced', 'job-missing']) {
    expect(await refusalOf(jobId)).toMatchObject({
      code: 'SOURCE_CHANGED',
      hint: expect.stringContaining('Enqueue it again'),
    });
  }
  expect((await fixture.statusOf('job-missing'))?.error?.message).toBe(
    'The video "other.mp4" cannot be used: it is not in storage.',
  );
});

test('a source that would fill the disk is refused, with a trigger or as a bare video', async () => {
  const { blobs } = fixture;
  await uploadJob(blobs, 'job-large');
  const large = 'x'.repeat(1001);
  const etag = await blobs.put('incoming', sourceBlob('job-large', 'harbour.mp4'), large);
  expect(etag).toBe('created');
  const refusal = {
    code: 'SOURCE_TOO_LARGE',
    message: expect.stringMatching(/: it has 0\.001 MB, the limit is 0\.001 MB\.$/),
    hint: expect.stringContaining('FRAMEFLEET_WORK_BYTES_MAX'),
  };
  expect(await refusalOf('job-large')).toMatchObject(refusal);
  await blobs.put('incoming', 'drop/large.mp4', large);
  await fixture.scan();
  const triggers = await Array.fromAsync(blobs.list('incoming', {}));
  const trigger = triggers.find(({ name }) => /-large-[0-9a-f]{12}\/job\.json$/.test(name))?.name ?? '';
  expect(await refusalOf(trigger.replace('/job.json', ''))).toMatchObject(refusal);
});

test('an unknown model is refused with MODEL_UNKNOWN, and the hint lists the published models', async () => {
  await uploadJob(fixture.blobs, 'job-model', () => ({ model: { name: 'sculptor' } }));
  await uploadJob(fixture.blobs, 'job-version', () => ({ model: { name: 'painter', version: '3' } }));
  const hint = expect.stringContaining('painter (1, 2, 10); upscaler (1)');
  expect(await refusalOf('job-model')).toMatchObject({ code: 'MODEL_UNKNOWN', hint });
  expect(await refusalOf('job-version')).toMatchObject({ code: 'MODEL_UNKNOWN', hint });
});

test('an unreadable manifest is refused with MODEL_INVALID, and the message names the version', async () => {
  await fixture.blobs.put('models', 'broken/1/model.json', '{"name":');
  await uploadJob(fixture.blobs, 'job-broken', () => ({ model: { name: 'broken' } }));
  expect(await refusalOf('job-broken')).toMatchObject({
    code: 'MODEL_INVALID',
    message: expect.stringContaining('broken/1'),
  });
  await fixture.blobs.remove('models', 'broken/1/model.json');
});

test('an unknown style is refused with STYLE_UNKNOWN, and the hint lists the styles', async () => {
  await uploadJob(fixture.blobs, 'job-style', () => ({ parameters: { style: 'crayon' } }));
  await uploadJob(fixture.blobs, 'job-parameter', () => ({ parameters: { strength: '2' } }));
  expect(await refusalOf('job-style')).toMatchObject({
    code: 'STYLE_UNKNOWN',
    message: expect.stringContaining('crayon'),
    hint: expect.stringContaining(STYLES.join(', ')),
  });
  expect(await refusalOf('job-parameter')).toMatchObject({
    code: 'STYLE_UNKNOWN',
    hint: 'Available parameters: style.',
  });
});

test.for([
  ['job-text', 'not JSON at all', 'it is not JSON'],
  ['job-empty', '', 'it is not JSON'],
  ['job-array', '[]', 'expected object'],
  ['job-version-9', '{"version":9}', 'version'],
] as const)('the trigger of %s is refused as JOB_INVALID', async ([jobId, body, reason]) => {
  await fixture.blobs.put('incoming', triggerBlob(jobId), body);
  expect(await refusalOf(jobId)).toMatchObject({
    code: 'JOB_INVALID',
    message: expect.stringContaining(reason),
  });
});

test('a trigger that names another job is refused, and the other job is unaffected', async () => {
  await uploadJob(fixture.blobs, 'job-thief', () => ({ jobId: 'job-victim' }));
  expect(await refusalOf('job-thief')).toMatchObject({ code: 'JOB_INVALID' });
  expect(await fixture.control.ledger.isKnown('job-victim')).toBe(false);
  expect(await fixture.statusOf('job-victim')).toBeUndefined();
});

test('a refused job stays refused and does not block other jobs', async () => {
  await fixture.blobs.put('incoming', triggerBlob('job-aaa-bad'), 'bad');
  await fixture.scan();
  const before = await fixture.statusOf('job-aaa-bad');
  await uploadJob(fixture.blobs, 'job-zzz-good');
  await fixture.scan();
  expect(await fixture.statusOf('job-aaa-bad')).toEqual(before);
  expect(await fixture.control.ledger.isKnown('job-zzz-good')).toBe(true);
});
