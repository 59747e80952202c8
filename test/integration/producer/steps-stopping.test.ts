import { expect, test } from 'vitest';

import { type JobRun, Steps } from '../../../producer/jobs/steps.ts';
import { Ledger } from '../../../shared/redis/ledger.ts';
import { systemClock } from '../../../shared/runtime/clock.ts';
import { buildDefinition, openSplitJob } from '../../support/build-job.ts';
import { eventually } from '../../support/eventually.ts';
import { startTestRedis } from '../../support/servers.ts';
import { silentLog } from '../../support/silent-log.ts';
import { stepOf, untilStopped } from '../../support/step-producer.ts';
import { connect } from '../../support/test-redis.ts';

test('a stopping producer does not take its steps back before it has stopped', async () => {
  await using server = await startTestRedis();
  using connections = await connect(server);
  const steps = new Steps(connections.first, silentLog);
  const stopping = new AbortController();
  let runs = 0;
  const run = (_run: JobRun, signal: AbortSignal): Promise<void> => {
    runs += 1;
    return untilStopped(signal);
  };
  const handler = { run, failed: () => Promise.resolve() };
  steps.process('split', handler, { concurrency: 1, signal: stopping.signal });
  await steps.add('split', stepOf('job-1'));
  await eventually('it runs', () => runs > 0);
  stopping.abort();
  // As in main.ts: steps are closed only after loops, HTTP and folders.
  await systemClock.sleep(500);
  await steps.close();
  expect(runs).toBe(1);
});

test('keys that are written for a closed job expire', async () => {
  await using server = await startTestRedis();
  using connections = await connect(server);
  const ledger = new Ledger(connections.first);
  await openSplitJob(ledger, 'job-1', { frameCount: 100, batchSize: 10 });
  await ledger.move('job-1', 'failed');
  await ledger.close('job-1', buildDefinition('job-1').epoch);
  const failed = [{ kind: 'inference' as const, message: 'late', frames: [[3, 4] as [number, number]] }];
  await ledger.resolve('job-1', { batchIndex: 0, scored: [[0, 1]], failed, nowMs: 1 });
  await ledger.warn('job-1', 'late');
  const keys = await connections.first.keys('framefleet:job:*');
  const secondsLeft = await Promise.all(keys.map((key) => connections.first.ttl(key)));
  expect(Math.min(...secondsLeft)).toBeGreaterThan(0);
});
