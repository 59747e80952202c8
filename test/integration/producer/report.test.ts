/** The job report names each failed frame, also for a job that failed because of them. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { readReport } from '../../../producer/jobs/report.ts';
import { StatusPublisher } from '../../../producer/jobs/status.ts';
import { FLEET_RATES_BLOB } from '../../../shared/contract/blob-names.ts';
import type { FleetRates } from '../../../shared/contract/fleet-rates.ts';
import { openSplitJob } from '../../support/build-job.ts';
import { type CollectFixture, startCollectFixture } from '../../support/collect-fixture.ts';

const RATES: FleetRates = {
  version: 1,
  measuredAt: '2026-11-23T06:15:02.000Z',
  models: {},
  split: { cut: null, decode: null, images: null },
  join: null,
  bootSeconds: 20,
  idleSeconds: 30,
  enginesPerMachine: 1,
  machinesMax: 10,
  drainTargetSeconds: 300,
  pools: [],
};

let fixture: CollectFixture;
let storage: CollectFixture['storage'];
let control: CollectFixture['control'];

beforeAll(async () => {
  fixture = await startCollectFixture();
  ({ storage, control } = fixture);
});
afterAll(() => fixture[Symbol.asyncDispose]());
beforeEach(() => fixture.reset());

const publish = (): Promise<number> =>
  new StatusPublisher({ ...control, blobs: storage.blobs, onEnded: () => Promise.resolve() }).pass();

test.each([
  { jobId: 'job-strict', frameCount: 1000, onFailedFrame: 'fail' },
  { jobId: 'job-share', frameCount: 40, onFailedFrame: 'keep-original' },
] as const)(
  'the report of a job that failed because of its frames names each with its reason: $onFailedFrame',
  async (job) => {
    const { jobId } = job;
    await openSplitJob(control.ledger, jobId, { ...job, batchSize: 20 });
    const failed = [
      { kind: 'engine' as const, message: 'no answer', frames: [[3, 5]] as [number, number][] },
      { kind: 'inference' as const, message: 'no memory', frames: [[9, 10]] as [number, number][] },
    ];
    await fixture.send(jobId, { scored: [[0, 3]], failed });
    await fixture.collect();
    await publish();

    expect(await readReport(storage.blobs, jobId)).toMatchObject({
      jobId,
      frameCount: job.frameCount,
      resultSha256: null,
      failedFrames: [
        { frameIndex: 3, kind: 'engine', message: 'no answer' },
        { frameIndex: 4, kind: 'engine', message: 'no answer' },
        { frameIndex: 9, kind: 'inference', message: 'no memory' },
      ],
    });
    expect(await control.ledger.isOpen(jobId)).toBe(false);
  },
);

test('the report states what the job took, as the scaler has charged it', async () => {
  const { clock, ledger, spending } = control;
  // Later than the job was opened, by its epoch.
  clock.advance(86_400_000);
  const startMs = clock.now().getTime();
  await storage.blobs.put('control', FLEET_RATES_BLOB, JSON.stringify(RATES));
  await openSplitJob(ledger, 'job-paid', {
    frameCount: 40,
    batchSize: 20,
    onFailedFrame: 'fail',
    createdAt: new Date(startMs - 60_000).toISOString(),
  });
  await publish();
  await ledger.recordEngines(2);
  clock.advance(20_000);
  await spending.charge({
    sinceMs: null,
    upToMs: 1,
    byJob: new Map([['job-paid', { machineMs: 50_000, micros: 5_000 }]]),
    bootByJob: new Map([['job-paid', { machineMs: 20_000, micros: 2_000 }]]),
    idleByJob: new Map([['job-paid', { machineMs: 10_000, micros: 1_000 }]]),
  });
  const stageSeconds = { fetch: 0, decode: 1, infer: 15, encode: 1, store: 0 };
  const failed = [
    { kind: 'inference' as const, message: 'no memory', frames: [[9, 10]] as [number, number][] },
  ];
  await fixture.send('job-paid', { scored: [[0, 9]], failed, framesRun: 9, wallSeconds: 18, stageSeconds });
  await fixture.collect();
  await publish();

  const report = await readReport(storage.blobs, 'job-paid');
  expect(report?.actual).toMatchObject({
    machineMs: {
      inference: 15_000,
      other: 5_000,
      boot: 20_000,
      idle: 10_000,
      idleExpected: 60_000,
      total: 110_000,
    },
    micros: { inference: 1_500, other: 500, boot: 2_000, idle: 1_000, idleExpected: 6_000, total: 11_000 },
    wallMs: 80_000,
  });
  expect(report?.actual?.stages.map(({ name, from }) => [name, Date.parse(from) - startMs])).toEqual([
    ['waiting', -60_000],
    ['splitting', 0],
  ]);
});

test('no idle window is expected while another job needs the machines', async () => {
  await storage.blobs.put('control', FLEET_RATES_BLOB, JSON.stringify(RATES));
  await control.ledger.recordEngines(2);
  for (const jobId of ['job-first', 'job-next'])
    await openSplitJob(control.ledger, jobId, { frameCount: 40, batchSize: 20, onFailedFrame: 'fail' });
  const failed = [
    { kind: 'inference' as const, message: 'no memory', frames: [[9, 10]] as [number, number][] },
  ];
  await fixture.send('job-first', { failed });
  await fixture.collect();
  await publish();
  expect((await readReport(storage.blobs, 'job-first'))?.actual?.machineMs.idleExpected).toBe(0);
});

test('a job that failed for another reason has no report', async () => {
  await openSplitJob(control.ledger, 'job-other', { frameCount: 40, batchSize: 20 });
  const error = { code: 'SOURCE_TRUNCATED', message: 'cut off', hint: null };
  await control.ledger.move('job-other', 'failed', { error });
  await publish();
  expect(await readReport(storage.blobs, 'job-other')).toBeUndefined();
});
