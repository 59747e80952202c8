import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { buildDefinition, firstSplit, openSplitJob } from '../../support/build-job.ts';
import { type CollectFixture, startCollectFixture } from '../../support/collect-fixture.ts';
import { countOfMetric } from '../../support/control-plane.ts';

let fixture: CollectFixture;
let control: CollectFixture['control'];

beforeAll(async () => {
  fixture = await startCollectFixture();
  ({ control } = fixture);
});
afterAll(() => fixture[Symbol.asyncDispose]());
beforeEach(() => fixture.reset());

async function collectFailed(...frames: [number, number][]): Promise<void> {
  const failed = [{ kind: 'inference' as const, message: 'no memory', frames }];
  await fixture.send('job-1', { failed });
  await fixture.collect();
}

test('a failed frame does not fail a job whose ledger was just rebuilt and whose frames are not counted yet', async () => {
  await control.ledger.open(buildDefinition('job-1'), 1);
  await collectFailed([3, 4]);
  expect(await control.ledger.job('job-1')).toMatchObject({ state: 'waiting', framesFailed: 1 });
});

test('a failed frame does not fail a job during the split if the header has no frame count', async () => {
  await control.ledger.open(buildDefinition('job-1'), 1);
  await control.ledger.move('job-1', 'running');
  await control.ledger.planSplit(firstSplit('job-1'), {
    batchSize: 10,
    framesExpected: 0,
    megapixelsPerFrame: 1,
  });
  await control.ledger.recordSplit(firstSplit('job-1'), 500);
  await collectFailed([3, 4]);
  expect(await control.ledger.job('job-1')).toMatchObject({ state: 'running', framesFailed: 1 });
});

test('an unusable model fails the job at once, with the reason and a hint about the model', async () => {
  await openSplitJob(control.ledger, 'job-1', { frameCount: 500, batchSize: 10 });
  const message = 'The input "frames" is float32, but model.json declares uint8.';
  const failed = [{ kind: 'model' as const, message, frames: [[0, 10]] as [number, number][] }];
  await fixture.send('job-1', { failed });
  await fixture.collect();
  const { state, error } = (await control.ledger.job('job-1')) ?? {};
  expect({ state, code: error?.code }).toEqual({ state: 'failed', code: 'MODEL_INVALID' });
  expect(error?.message).toBe(`The model painter/1 cannot be used: ${message}`);
  expect(error?.hint).toContain('publish it as a new version');
});

test('a limit in frames applies at once, before all frames are counted', async () => {
  await control.ledger.open(buildDefinition('job-1', { failedFramesMax: { frames: 1 } }), 1);
  await control.ledger.move('job-1', 'running');
  await collectFailed([3, 4]);
  expect(await control.ledger.job('job-1')).toMatchObject({ state: 'running', framesFailed: 1 });
  await collectFailed([7, 8]);
  expect(await control.ledger.job('job-1')).toMatchObject({
    state: 'failed',
    error: { code: 'TOO_MANY_FAILED_FRAMES' },
  });
});

test('a limit in percent from the job request replaces the default', async () => {
  const failedFramesMax = { percent: 50 };
  await openSplitJob(control.ledger, 'job-1', { frameCount: 10, batchSize: 10, failedFramesMax });
  await collectFailed([0, 5]);
  expect(await control.ledger.job('job-1')).toMatchObject({ state: 'running', framesFailed: 5 });
  await collectFailed([5, 6]);
  expect(await control.ledger.job('job-1')).toMatchObject({ state: 'failed' });
});

test('the metric counts a failed frame once, even if a second result reports it with others', async () => {
  await openSplitJob(control.ledger, 'job-1', { frameCount: 1000, batchSize: 10 });
  await collectFailed([0, 3]);
  await collectFailed([0, 4]);
  expect((await control.ledger.job('job-1'))?.framesFailed).toBe(4);
  expect(await countOfMetric(control.metrics.framesFailed)).toBe(4);
});
