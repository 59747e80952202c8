/** Renewals and settlings of the same lease at the same moment. */
import { expect, test } from 'vitest';

import { systemClock } from '../../shared/runtime/clock.ts';
import { inForm } from '../support/fault-form.ts';
import { holdLease } from '../support/hold-lease.ts';
import { startTestStorage } from '../support/servers.ts';
import { openTestQueue } from '../support/test-queue.ts';

const MESSAGES = inForm({ short: 100, long: 500 });
const HOLDERS = 8;
const AGAIN = 'again-';
/** Long compared with a settling, so that only one renewal coincides with it. */
const RENEW_EVERY_MS = 3;
/** Start times of the settling, half a millisecond apart, from before the renewal to after its answer. */
const MOMENTS = 40;

test('each delivery is settled exactly once, however its settling coincides with a renewal', async () => {
  await using storage = await startTestStorage();
  const { queue } = await openTestQueue(storage, 'frame-batches');
  const texts = Array.from({ length: MESSAGES }, (_, index) => `message-${index}`);
  for (const text of texts) await queue.send(text);
  const completed: string[] = [];
  const released: string[] = [];
  const lost: string[] = [];
  let renewed = 0;

  const holdAll = async (holder: number): Promise<void> => {
    for (let turn = holder; ; turn += 7) {
      const held = await holdLease(queue, { leaseSeconds: 60, renewEveryMs: RENEW_EVERY_MS });
      if (held === undefined) return;
      const { lease, notes } = held;
      const { text } = held.message;
      await systemClock.sleep((turn % MOMENTS) * 0.5);
      const isFirst = !text.startsWith(AGAIN);
      const isSettled = await (isFirst
        ? lease.release({ text: `${AGAIN}${text}`, delaySeconds: 0 })
        : lease.complete());
      if (!isSettled || lease.state !== 'settled' || notes.lost > 0) lost.push(text);
      (isFirst ? released : completed).push(text);
      renewed += notes.renewed;
    }
  };
  await Promise.all(Array.from({ length: HOLDERS }, (_, holder) => holdAll(holder)));
  // A holder may have found the queue empty while another was releasing a message.
  await holdAll(0);

  expect(lost).toEqual([]);
  expect(released.toSorted()).toEqual(texts.toSorted());
  expect(completed.toSorted()).toEqual(texts.map((text) => `${AGAIN}${text}`).toSorted());
  expect(renewed).toBeGreaterThan(MESSAGES / 4);
  expect(await queue.countApprox()).toBe(0);
});
