import { expect, test } from 'vitest';

import { type JobRun, Steps } from '../../../producer/jobs/steps.ts';
import { systemClock } from '../../../shared/runtime/clock.ts';
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
  await steps.add('split', stepOf('job-1'), 'normal');
  await eventually('it runs', () => runs > 0);
  stopping.abort();
  // As in main.ts: steps are closed only after loops, HTTP and folders.
  await systemClock.sleep(500);
  await steps.close();
  expect(runs).toBe(1);
});
