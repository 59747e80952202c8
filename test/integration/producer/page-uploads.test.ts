/** Uploads of the page on real storage: parts from several producers, parts that come twice or not at all, and uploads that never become a job. */
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { Readable } from 'node:stream';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { JobFolders } from '../../../producer/jobs/job-folders.ts';
import { UPLOAD_PART_BYTES, type UploadDocument, Uploads } from '../../../producer/page/uploads.ts';
import { jobPrefix, triggerBlob } from '../../../shared/contract/blob-names.ts';
import { type Clock, systemClock } from '../../../shared/runtime/clock.ts';
import { type TestStorage, startTestStorage, testFolder } from '../../support/servers.ts';
import { silentLog } from '../../support/silent-log.ts';

const DAY_MS = 24 * 3_600_000;
/** Three parts, the last one of them small. */
const CONTENT = randomBytes(2 * UPLOAD_PART_BYTES + 1000);

let storage: TestStorage;
let folder: string;
let folders: JobFolders;

beforeAll(async () => {
  storage = await startTestStorage();
  folder = await testFolder();
  folders = await JobFolders.open({ workFolder: folder, workBytesMax: 1e9, blobs: storage.blobs });
});
afterAll(async () => {
  await storage[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const uploadsOf = (clock: Clock = systemClock): Uploads =>
  new Uploads({ blobs: storage.blobs, folders, clock, log: silentLog });
const partOf = (part: number): Readable =>
  Readable.from([CONTENT.subarray(part * UPLOAD_PART_BYTES, (part + 1) * UPLOAD_PART_BYTES)]);
const begin = (): Promise<UploadDocument> =>
  uploadsOf().create([{ name: 'clip.mp4', sizeBytes: CONTENT.length }]);
const stored = ({ files }: UploadDocument) => storage.blobs.get('incoming', files[0]?.blobName ?? '');

test('the parts of a file may come from several producers, in any order and twice', async () => {
  const upload = await begin();
  const { jobId } = upload;
  const [one, another] = [uploadsOf(), uploadsOf()];
  await one.putPart(jobId, 0, 1, partOf(1));
  await another.putPart(jobId, 0, 0, partOf(0));
  await one.putPart(jobId, 0, 0, partOf(0));
  expect(await stored(upload)).toBeUndefined();
  await one.putPart(jobId, 0, 2, partOf(2));
  await another.putPart(jobId, 0, 2, partOf(2));
  expect((await stored(upload))?.equals(CONTENT)).toBe(true);
});

test('the last part is refused while another is missing, and accepted afterwards', async () => {
  const upload = await begin();
  const { jobId } = upload;
  const uploads = uploadsOf();
  await uploads.putPart(jobId, 0, 0, partOf(0));
  await expect(uploads.putPart(jobId, 0, 2, partOf(2))).rejects.toMatchObject({ code: 'JOB_INVALID' });
  expect(await stored(upload)).toBeUndefined();
  await uploads.putPart(jobId, 0, 1, partOf(1));
  await uploads.putPart(jobId, 0, 2, partOf(2));
  expect((await stored(upload))?.equals(CONTENT)).toBe(true);
});

test('a part with too few or too many bytes, or that the file does not have, is refused', async () => {
  const { jobId } = await begin();
  const uploads = uploadsOf();
  const put = (part: number, body: Readable) => uploads.putPart(jobId, 0, part, body);
  await expect(put(0, partOf(2))).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
  await expect(put(2, partOf(0))).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
  await expect(put(0, Readable.from([CONTENT]))).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
  await expect(put(3, partOf(2))).rejects.toMatchObject({ code: 'UPLOAD_UNKNOWN' });
  await expect(uploads.putPart(jobId, 1, 0, partOf(0))).rejects.toMatchObject({ code: 'UPLOAD_UNKNOWN' });
  const gone = new Readable({ read: () => gone.destroy(new Error('aborted')) });
  await expect(put(0, gone)).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
});

test('one of several images is taken out, and the next ones move up', async () => {
  const uploads = uploadsOf();
  const names = ['one.png', 'two.png', 'three.png'];
  const { jobId, files } = await uploads.create(names.map((name) => ({ name, sizeBytes: 4 })));
  for (const index of files.keys())
    await uploads.putPart(jobId, index, 0, Readable.from([Buffer.from('1234')]));
  await uploads.removeFile(jobId, 1);
  expect((await uploads.find(jobId)).files).toEqual([files[0], files[2]]);
  expect(await storage.blobs.stat('incoming', files[1]?.blobName ?? '')).toBeUndefined();
  await expect(uploads.removeFile(jobId, 2)).rejects.toMatchObject({ code: 'UPLOAD_UNKNOWN' });
  await uploads.removeFile(jobId, 0);
  await expect(uploads.removeFile(jobId, 0)).rejects.toMatchObject({ code: 'UPLOAD_UNKNOWN' });
});

test('as many parts as fit into memory are taken at the same time', async () => {
  const { jobId } = await begin();
  const uploads = uploadsOf();
  const waiting = Array.from({ length: 9 }, () => new Readable({ read: () => undefined }));
  const puts = waiting.map((body) => uploads.putPart(jobId, 0, 0, body));
  const refused = await Promise.race(puts.map((put) => put.catch((error: unknown) => error)));
  expect(refused).toMatchObject({ code: 'TOO_MANY_REQUESTS' });
  for (const body of waiting) body.destroy();
  await Promise.allSettled(puts);
  await uploads.putPart(jobId, 0, 0, partOf(0));
});

test('an upload that has not become a job is removed after a day; one that has loses its document only', async () => {
  const { blobs } = storage;
  const [left, started] = [await begin(), await begin()];
  for (const { jobId, files } of [left, started]) {
    await blobs.put('incoming', files[0]?.blobName ?? '', 'a video');
    expect(await uploadsOf().find(jobId)).toMatchObject({ jobId });
  }
  await blobs.put('incoming', triggerBlob(started.jobId), '{}');
  await uploadsOf().sweep();
  expect(await uploadsOf().find(left.jobId)).toMatchObject({ jobId: left.jobId });

  await uploadsOf({ ...systemClock, now: () => new Date(Date.now() + DAY_MS + 60_000) }).sweep();
  for (const { jobId } of [left, started])
    await expect(uploadsOf().find(jobId)).rejects.toMatchObject({ code: 'UPLOAD_UNKNOWN' });
  const blobsOf = ({ jobId }: UploadDocument) =>
    Array.fromAsync(blobs.list('incoming', { prefix: jobPrefix(jobId) }));
  expect(await blobsOf(left)).toEqual([]);
  expect(await blobsOf(started)).toHaveLength(2);
});
