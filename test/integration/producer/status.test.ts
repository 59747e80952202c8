/** Several producers publish the status of a job: a late write never replaces a newer state, even if its producer is killed at once. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { StatusPublisher, readStatus } from '../../../producer/jobs/status.ts';
import type { BlobStore } from '../../../shared/azure/blob-store.ts';
import { statusBlob } from '../../../shared/contract/blob-names.ts';
import { openSplitJob } from '../../support/build-job.ts';
import { type CollectFixture, startCollectFixture } from '../../support/collect-fixture.ts';

const JOB = 'job-1';
const ERROR = { code: 'SOURCE_TRUNCATED', message: 'cut off', hint: null };

let fixture: CollectFixture;
let blobs: BlobStore;
let ledger: CollectFixture['control']['ledger'];

beforeAll(async () => {
  fixture = await startCollectFixture();
  ({ blobs } = fixture.storage);
  ({ ledger } = fixture.control);
});
afterAll(() => fixture[Symbol.asyncDispose]());
beforeEach(async () => {
  await fixture.reset();
  await blobs.remove('results', statusBlob(JOB));
  await openSplitJob(ledger, JOB, { frameCount: 40, batchSize: 20 });
});

async function score(): Promise<void> {
  await fixture.send(JOB, { scored: [[0, 3]] });
  await fixture.collect();
  // Progress is published once a second.
  fixture.control.clock.advance(1_000);
}

function publisher(faults: Partial<BlobStore> = {}): StatusPublisher {
  return new StatusPublisher({
    ...fixture.control,
    blobs: { ...blobs, ...faults },
    onEnded: () => Promise.resolve(),
  });
}

/** A publisher whose producer is killed right after its second write. Before this write, another producer publishes the end of the job. */
function killedWhileTheJobEnds(): { late: StatusPublisher; writes: (string | undefined)[] } {
  const writes: (string | undefined)[] = [];
  const late = publisher({
    replace: async (...call) => {
      if (writes.length === 1) {
        await ledger.move(JOB, 'failed', { error: ERROR });
        await publisher().pass();
      }
      writes.push(await blobs.replace(...call));
      if (writes.length === 2) throw new Error('killed');
      return writes.at(-1);
    },
  });
  return { late, writes };
}

test('a late write of a producer that is then killed leaves the final status', async () => {
  const { late, writes } = killedWhileTheJobEnds();
  await late.pass();
  expect(await readStatus(blobs, JOB)).toMatchObject({ state: 'running' });
  await score();
  await expect(late.pass()).rejects.toThrow('killed');
  expect(writes).toEqual([expect.any(String), undefined]);
  expect(await ledger.isOpen(JOB)).toBe(false);
  expect(await readStatus(blobs, JOB)).toMatchObject({ state: 'failed', error: ERROR });
});

test('two producers write a status once, and each publishes the next change', async () => {
  const [one, other] = [publisher(), publisher()];
  await one.pass();
  const written = await blobs.stat('results', statusBlob(JOB));
  await other.pass();
  await one.pass();
  expect(await blobs.stat('results', statusBlob(JOB))).toEqual(written);
  await score();
  await other.pass();
  expect(await readStatus(blobs, JOB)).toMatchObject({ state: 'running', frames: { scored: 3 } });
  await ledger.move(JOB, 'failed', { error: ERROR });
  await one.pass();
  expect(await readStatus(blobs, JOB)).toMatchObject({ state: 'failed' });
});

test('progress is published once a second, and the end at once', async () => {
  const only = publisher();
  await only.pass();
  await score();
  await only.pass();
  const written = await blobs.stat('results', statusBlob(JOB));
  await fixture.send(JOB, { scored: [[3, 5]] });
  await fixture.collect();
  await only.pass();
  expect(await blobs.stat('results', statusBlob(JOB))).toEqual(written);
  await ledger.move(JOB, 'failed', { error: ERROR });
  await only.pass();
  expect(await readStatus(blobs, JOB)).toMatchObject({ state: 'failed', frames: { scored: 5 } });
});

test('a status that is removed or damaged is written again with the next change', async () => {
  const only = publisher();
  await only.pass();
  await blobs.put('results', statusBlob(JOB), 'not JSON');
  await score();
  await only.pass();
  expect(await readStatus(blobs, JOB)).toMatchObject({ state: 'running', frames: { scored: 3 } });
  await blobs.remove('results', statusBlob(JOB));
  await ledger.move(JOB, 'failed', { error: ERROR });
  await only.pass();
  expect(await readStatus(blobs, JOB)).toMatchObject({ state: 'failed' });
});
