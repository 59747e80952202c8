/** Renewing and settling the same lease at the same moment. */
import { expect, test } from 'vitest';

import { systemClock } from '../../shared/runtime/clock.ts';
import { inForm } from '../support/fault-form.ts';
import { holdLease } from '../support/hold-lease.ts';
import { startTestStorage } from '../support/servers.ts';
import { openTestQueue } from '../support/test-queue.ts';

const MESSAGES = inForm({ short: 100, long: 500 });
const HOLDERS = 8;
const AGAIN = 'again-';
/** Long against a settling, so that only one renewal meets it. */
const RENEW_EVERY_MS = 3;
/** Half a millisecond apart, from before the renewal to behind its answer. */
const MOMENTS = 40;

test('however a renewal and the settling fall together, each delivery is settled once, and no message is worked twice at a time', async () => {
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
  // One may have found the queue empty while another was just releasing.
  await holdAll(0);

  expect(lost).toEqual([]);
  expect(released.toSorted()).toEqual(texts.toSorted());
  expect(completed.toSorted()).toEqual(texts.map((text) => `${AGAIN}${text}`).toSorted());
  expect(renewed).toBeGreaterThan(MESSAGES / 4);
  expect(await queue.countApprox()).toBe(0);
});
