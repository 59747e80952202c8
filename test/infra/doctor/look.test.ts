import { expect, test } from 'vitest';

import { right } from '../../../infra/doctor/finding.ts';
import { lookAt } from '../../../infra/doctor/look.ts';
import { MovableClock } from '../../support/movable-clock.ts';

test('a look that breaks and one that never ends are warnings, in their places, and keep no other from being made', async () => {
  const clock = new MovableClock();
  let stopped: AbortSignal | undefined;
  const looking = lookAt(
    [
      { topic: 'broken', find: () => Promise.reject(new Error('out of paper')) },
      { topic: 'well', find: () => Promise.resolve([right('well', 'one'), right('well', 'two')]) },
      {
        topic: 'endless',
        find: (signal) => {
          stopped = signal;
          return new Promise(() => undefined);
        },
      },
    ],
    clock,
  );
  const findings = await looking;
  expect(findings.map(({ topic, verdict, says }) => `${verdict} ${topic}: ${says}`)).toEqual([
    'warning broken: It could not be found out: out of paper',
    'right well: one',
    'right well: two',
    'warning endless: It could not be found out: no answer within 45000 ms',
  ]);
  expect(stopped?.aborted).toBe(true);
});
