/** What one bad job, model or status may not do: keep the intake from the others. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { statusBlob } from '../../../shared/contract/blob-names.ts';
import { type IntakeBench, startIntakeBench } from '../../support/intake-bench.ts';
import { uploadJob } from '../../support/upload-job.ts';

let bench: IntakeBench;

beforeAll(async () => {
  bench = await startIntakeBench();
});
afterAll(() => bench[Symbol.asyncDispose]());
beforeEach(async () => {
  for (const container of ['incoming', 'results'] as const) {
    for await (const { name } of bench.blobs.list(container, {})) await bench.blobs.remove(container, name);
  }
});

test('a source name with half a character is refused, and the next job is opened', async () => {
  // In JSON, "\ud800" is valid text; in a URL it is nothing.
  await uploadJob(bench.blobs, 'job-half-character', ({ source }) => ({
    source: { ...source, name: 'a\ud800.mp4' },
  }));
  await uploadJob(bench.blobs, 'job-next-1');
  await bench.scan();
  expect(await bench.control.ledger.isKnown('job-next-1')).toBe(true);
  expect(await bench.statusOf('job-half-character')).toMatchObject({ state: 'failed' });
});

test('a model published under a name that is none does not keep jobs from the versions that are', async () => {
  await bench.blobs.put('models', 'painter/Version 2/model.json', '{}');
  await uploadJob(bench.blobs, 'job-next-2');
  await bench.scan();
  expect(await bench.control.ledger.job('job-next-2')).toMatchObject({
    definition: { model: { version: '10' } },
  });
  await bench.blobs.remove('models', 'painter/Version 2/model.json');
});

test('a status that cannot be read does not stop the intake', async () => {
  await uploadJob(bench.blobs, 'job-bad-status');
  await bench.blobs.put('results', statusBlob('job-bad-status'), '{"version":1,');
  await uploadJob(bench.blobs, 'job-next-3');
  await bench.scan();
  expect(await bench.control.ledger.isKnown('job-next-3')).toBe(true);
});
