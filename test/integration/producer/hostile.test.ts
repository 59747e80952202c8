/** One invalid job, model or status must not block the intake of other jobs. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { statusBlob } from '../../../shared/contract/blob-names.ts';
import { type IntakeFixture, startIntakeFixture } from '../../support/intake-fixture.ts';
import { uploadJob } from '../../support/upload-job.ts';

let fixture: IntakeFixture;

beforeAll(async () => {
  fixture = await startIntakeFixture();
});
afterAll(() => fixture[Symbol.asyncDispose]());
beforeEach(async () => {
  for (const container of ['incoming', 'results'] as const) {
    for await (const { name } of fixture.blobs.list(container, {}))
      await fixture.blobs.remove(container, name);
  }
});

test('a source name with an unpaired surrogate is refused, and the next job is opened', async () => {
  // "\ud800" is valid in JSON but cannot be encoded in a URL.
  await uploadJob(fixture.blobs, 'job-half-character', ({ source }) => ({
    source: { ...source, name: 'a\ud800.mp4' },
  }));
  await uploadJob(fixture.blobs, 'job-next-1');
  await fixture.scan();
  expect(await fixture.control.ledger.isKnown('job-next-1')).toBe(true);
  expect(await fixture.statusOf('job-half-character')).toMatchObject({ state: 'failed' });
});

test('a model with an invalid version name does not hide its valid versions', async () => {
  await fixture.blobs.put('models', 'painter/Version 2/model.json', '{}');
  await uploadJob(fixture.blobs, 'job-next-2');
  await fixture.scan();
  expect(await fixture.control.ledger.job('job-next-2')).toMatchObject({
    definition: { model: { version: '10' } },
  });
  await fixture.blobs.remove('models', 'painter/Version 2/model.json');
});

test('an unreadable status does not stop the intake', async () => {
  await uploadJob(fixture.blobs, 'job-bad-status');
  await fixture.blobs.put('results', statusBlob('job-bad-status'), '{"version":1,');
  await uploadJob(fixture.blobs, 'job-next-3');
  await fixture.scan();
  expect(await fixture.control.ledger.isKnown('job-next-3')).toBe(true);
});
