import { expect, test } from 'vitest';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { type JobControl, encodeJobControl } from '../../shared/contract/job-control.ts';
import { JobOrders } from '../../worker/delivery/job-orders.ts';
import { MovableClock } from '../support/movable-clock.ts';
import { silentLog } from '../support/silent-log.ts';

/** Counts the reads; the order may change, and storage may fail. */
function ordersFrom(stored: { order: JobControl['order'] | 'fails' }) {
  let reads = 0;
  const clock = new MovableClock();
  const get = (_: string, name: string): Promise<Buffer> => {
    reads += 1;
    if (stored.order === 'fails') return Promise.reject(new Error('no answer'));
    const jobId = name.split('/').at(-1) ?? '';
    const setAt = clock.now().toISOString();
    const control = { version: 1, jobId, order: stored.order, pauses: 0, setAt } as const;
    return Promise.resolve(Buffer.from(encodeJobControl(control)));
  };
  const blobs = { get } as unknown as BlobStore;
  return { orders: new JobOrders({ blobs, clock, log: silentLog }), clock, reads: () => reads };
}

test('the order of a job that runs is read every eight seconds, for each job', async () => {
  const stored = { order: 'run' as JobControl['order'] };
  const { orders, clock, reads } = ordersFrom(stored);
  for (const jobId of ['job-1', 'job-2', 'job-1', 'job-2']) expect(await orders.of(jobId)).toBe('run');
  expect(reads()).toBe(2);
  stored.order = 'cancel';
  clock.advance(7_999);
  expect(await orders.of('job-1')).toBe('run');
  clock.advance(1);
  expect(await orders.of('job-1')).toBe('cancel');
  expect(reads()).toBe(3);
});

test('an order that stops a job is read before each batch, so that its end is seen at once', async () => {
  const stored = { order: 'pause' as JobControl['order'] };
  const { orders } = ordersFrom(stored);
  expect(await orders.beforeBatch('job-1')).toBe('pause');
  stored.order = 'run';
  expect(await orders.beforeBatch('job-1')).toBe('run');
});

test('within a batch, a job that is paused meanwhile costs no more reads than one that runs', async () => {
  const { orders, clock, reads } = ordersFrom({ order: 'pause' });
  for (let seconds = 0; seconds < 16; seconds += 1) {
    expect(await orders.of('job-1')).toBe('pause');
    clock.advance(1_000);
  }
  expect(reads()).toBe(2);
});

test('a job runs while storage does not say what is wanted, and storage is not asked more often', async () => {
  const { orders, reads } = ordersFrom({ order: 'fails' });
  for (let looks = 0; looks < 3; looks += 1) expect(await orders.of('job-1')).toBe('run');
  expect(reads()).toBe(1);
});
