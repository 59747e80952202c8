/** The page's list of jobs on real storage and Redis: many jobs, what changes, and what storage is asked for. */
import { afterAll, beforeAll, expect, test } from 'vitest';

import { JobFolders } from '../../../producer/jobs/job-folders.ts';
import { StatusPublisher } from '../../../producer/jobs/status.ts';
import type { JobDetail, JobSummary, JobsPage } from '../../../producer/page/contract.ts';
import { JobIndex } from '../../../producer/page/job-index.ts';
import { type Page, createPage } from '../../../producer/page/server.ts';
import type { BlobStore } from '../../../shared/azure/blob-store.ts';
import { triggerBlob } from '../../../shared/contract/blob-names.ts';
import { systemClock as clock } from '../../../shared/runtime/clock.ts';
import { listen } from '../../../shared/runtime/http.ts';
import { buildRequest, openSplitJob } from '../../support/build-job.ts';
import { type CollectFixture, startCollectFixture } from '../../support/collect-fixture.ts';
import { eventually } from '../../support/eventually.ts';
import { storeEndedJobs } from '../../support/many-jobs.ts';
import { MovableClock } from '../../support/movable-clock.ts';
import { PageClient } from '../../support/page-client.ts';
import { testFolder } from '../../support/servers.ts';
import { silentLog } from '../../support/silent-log.ts';

const TOKEN = 'correct-horse-battery-staple';
const JOBS = 300;
const LISTED_AGAIN_MS = 11_000;
/** A bound for a hang: hundreds of blobs are stored first. */
const STORE_MS_MAX = 1_200_000;
/** Newer than all others. */
const NEW_JOB = '20261124-000000-new-000000';

let fixture: CollectFixture;
let page: Page;
let client: PageClient;
let publisher: StatusPublisher;
let index: JobIndex;
/** The oldest first. */
let jobIds: readonly string[];
/** Reads of single blobs. */
let reads = 0;

beforeAll(async () => {
  fixture = await startCollectFixture();
  const { blobs } = fixture.storage;
  const { ledger } = fixture.control;
  jobIds = await storeEndedJobs(blobs, JOBS);
  const counted: BlobStore = {
    ...blobs,
    get: (...call) => {
      reads += 1;
      return blobs.get(...call);
    },
  };
  index = new JobIndex({ blobs: counted, clock });
  page = await createPage({
    blobs: counted,
    ledger,
    times: fixture.control.times,
    folders: await JobFolders.open({ workFolder: await testFolder(), workBytesMax: 1e9, blobs }),
    sourceLimits: { framesMax: 1000, durationSecondsMax: 100, pixelsMax: 1e6 },
    index,
    signIn: { mode: 'token', token: TOKEN },
    hosts: [],
    scaler: null,
    clock,
    log: silentLog,
    signal: new AbortController().signal,
  });
  publisher = new StatusPublisher({
    ...fixture.control,
    blobs,
    clock,
    onEnded: () => Promise.resolve(),
    onOpen: (open) => index.observe(open),
  });
  const port = await listen(page.http, { host: '127.0.0.1', port: 0 });
  client = await PageClient.signIn(`http://127.0.0.1:${port}/#token=${TOKEN}`);
}, STORE_MS_MAX);
afterAll(async () => {
  await page.http.close();
  await fixture[Symbol.asyncDispose]();
});

/** One pass of each loop, as the producer runs them. */
async function pass(): Promise<void> {
  await publisher.pass();
  await index.pass();
  await page.live.pass();
}

test('the first page needs the newest jobs only; all are read in passes, each once', async () => {
  expect(reads).toBe(0);
  const first = await client.ask<JobsPage>('GET', '/api/jobs?limit=50');
  expect(first).toMatchObject({ total: JOBS, unread: JOBS - 50 });
  expect(first.jobs.map(({ jobId }) => jobId)).toEqual(jobIds.slice(-50).toReversed());
  expect(reads).toBe(50 * 3);
  const second = await client.ask<JobsPage>('GET', `/api/jobs?limit=50&before=${first.next}`);
  expect(second.jobs[0]?.jobId).toBe(jobIds[JOBS - 51]);
  await eventually('all are read', async () => {
    await index.pass();
    return (await client.ask<JobsPage>('GET', '/api/jobs?limit=1')).unread === 0;
  });
  expect(reads).toBe(JOBS * 3);
  const failed = await client.ask<JobsPage>('GET', '/api/jobs?states=failed&limit=10');
  expect(failed).toMatchObject({ total: JOBS / 4, next: jobIds[JOBS - 38] });
  const found = await client.ask<JobsPage>('GET', '/api/jobs?search=clip-242');
  expect(found.jobs.map(({ jobId }) => jobId)).toEqual([jobIds[242]]);
  // Storage is not asked again.
  await pass();
  expect(reads).toBe(JOBS * 3);
});

test('only what changes is sent: a new job, its progress, its end; the others never', async () => {
  using events = await client.listen(`?job=${NEW_JOB}`);
  const { blobs } = fixture.storage;
  await blobs.put('incoming', triggerBlob(NEW_JOB), JSON.stringify(buildRequest(NEW_JOB)));
  await openSplitJob(fixture.control.ledger, NEW_JOB, { frameCount: 40, batchSize: 20 });
  await pass();
  await events.until<JobSummary[]>('jobs', ([job]) => job?.jobId === NEW_JOB && job.state === 'running');
  await fixture.send(NEW_JOB, { scored: [[0, 20]] });
  await fixture.collect();
  await pass();
  await events.until<JobSummary[]>('jobs', ([job]) => job?.frames.scored === 20);
  await events.until<JobDetail>('job', ({ frames }) => frames.scored === 20);
  const before = events.of('jobs').length;
  await pass();
  await pass();
  expect(events.of('jobs')).toHaveLength(before);
  const error = { code: 'SOURCE_TRUNCATED', message: 'cut off', hint: null };
  await fixture.control.ledger.move(NEW_JOB, 'failed', { error });
  await pass();
  await pass();
  await events.until<JobSummary[]>('jobs', ([job]) => job?.state === 'failed');
  await events.until<JobDetail>('job', (detail) => detail.error?.code === error.code);
  const sent = events.of<JobSummary[]>('jobs').flat();
  expect(new Set(sent.map(({ jobId }) => jobId))).toEqual(new Set([NEW_JOB]));
});

test('an upload is no job, however often storage is listed, until it is submitted', async () => {
  const { blobs } = fixture.storage;
  const upload = '20261125-000000-upload-000000';
  await blobs.put('incoming', `${upload}/source.mp4`, 'no video');
  const moved = new MovableClock();
  const own = new JobIndex({ blobs, clock: moved });
  const countListed = async (): Promise<number> => {
    moved.advance(LISTED_AGAIN_MS);
    const { total } = await own.page({ states: null, search: null, before: null, limit: 1 });
    await own.pass();
    return total;
  };
  await countListed();
  await own.pass();
  const before = await countListed();
  expect([await countListed(), await countListed()]).toEqual([before, before]);
  await blobs.put('incoming', triggerBlob(upload), JSON.stringify(buildRequest(upload)));
  await countListed();
  expect(await countListed()).toBe(before + 1);
  await blobs.remove('incoming', triggerBlob(upload));
  await blobs.remove('incoming', `${upload}/source.mp4`);
});

test('nothing is listed while nobody looks', async () => {
  let listings = 0;
  const { blobs } = fixture.storage;
  const listFolders: BlobStore['listFolders'] = (...call) => {
    listings += 1;
    return blobs.listFolders(...call);
  };
  const quiet = new JobIndex({ blobs: { ...blobs, listFolders }, clock });
  await quiet.pass();
  expect(listings).toBe(0);
  quiet.watch();
  await quiet.pass();
  expect(listings).toBe(1);
});
