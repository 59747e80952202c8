/** Checks run side by side and do not affect each other. */
import { expect, test } from 'vitest';

import { runChecks } from '../../../infra/doctor/check.ts';
import { okFinding } from '../../../infra/doctor/finding.ts';
import { MovableClock } from '../../support/movable-clock.ts';

test('a check that throws and a check that never ends become warnings in order, and the other checks still run', async () => {
  const clock = new MovableClock();
  let stopped: AbortSignal | undefined;
  const findings = await runChecks(
    [
      { topic: 'broken', run: () => Promise.reject(new Error('out of paper')) },
      { topic: 'well', run: () => Promise.resolve([okFinding('well', 'one'), okFinding('well', 'two')]) },
      {
        topic: 'endless',
        run: (signal) => {
          stopped = signal;
          return new Promise(() => undefined);
        },
      },
    ],
    clock,
  );
  expect(findings.map(({ topic, verdict, message }) => `${verdict} ${topic}: ${message}`)).toEqual([
    'warning broken: the check failed: out of paper',
    'ok well: one',
    'ok well: two',
    'warning endless: the check failed: no answer within 45000 ms',
  ]);
  expect(stopped?.aborted).toBe(true);
});
