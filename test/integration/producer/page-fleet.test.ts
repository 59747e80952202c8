/** The page of `npm start`, from a dropped video to the result in the player, on a real fleet. */
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';

import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';

import type {
  Estimate,
  Explanation,
  FailedFrameSummary,
  FleetHistory,
  FleetNow,
  JobDetail,
  JobSummary,
  JobsPage,
  Me,
  Model,
  StylePictures,
  Upload,
} from '../../../producer/page/contract.ts';
import { type RunningCommand, startStackCommand } from '../../support/commands.ts';
import { eventually } from '../../support/eventually.ts';
import { H264, ffmpeg, picture } from '../../support/media-clips.ts';
import { PageClient } from '../../support/page-client.ts';
import { testFolder } from '../../support/servers.ts';

const FRAMES = 48;

let folder: string;
let fleet: RunningCommand;
let page: PageClient;
let clip: Buffer;

beforeAll(async () => {
  folder = await testFolder();
  fleet = startStackCommand({ localFolder: path.join(folder, 'fleet') });
  await fleet.said('The local fleet is running');
  await fleet.said('the web page');
  page = await PageClient.signIn(/http:\S+#token=\S+/.exec(fleet.heard())?.[0] ?? '');
  const file = path.join(folder, 'clip.mp4');
  await ffmpeg([...picture({ size: '320x180', rate: '24', seconds: FRAMES / 24 }), ...H264, file]);
  clip = await readFile(file);
});
afterAll(async () => {
  fleet.child.kill('SIGINT');
  await fleet.end;
  await rm(folder, { recursive: true, force: true });
});

async function upload(name: string, bytes: Buffer): Promise<Upload> {
  const made = await page.ask<Upload>('POST', '/api/uploads', [{ name, sizeBytes: bytes.length }]);
  await page.ask('PUT', `${made.files[0]?.url}/0`, bytes);
  return made;
}

const detailOf = (jobId: string) => page.ask<JobDetail>('GET', `/api/jobs/${jobId}`);

async function pictureAt(address: string): Promise<{ width: number; height: number }> {
  const response = await page.request('GET', address);
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'image/jpeg']);
  const { width, height } = await sharp(Buffer.from(await response.arrayBuffer())).metadata();
  return { width, height };
}

test('a dropped video becomes pictures of its first frame, an estimate, a job and a result', async () => {
  expect(await page.ask<Me>('GET', '/api/me')).toMatchObject({
    name: null,
    hasScaler: true,
    hasPrices: false,
  });
  const [painter] = await page.ask<Model[]>('GET', '/api/models');
  expect(painter).toMatchObject({ name: 'painter', isDefault: true, result: 'picture' });
  const { id: jobId } = await upload('clip.mp4', clip);

  const styles = await eventually('every style is painted', async () => {
    const made = await page.ask<StylePictures>('POST', `/api/uploads/${jobId}/styles`, { model: 'painter' });
    expect(made.trouble).toBeNull();
    return made.styles.every(({ url }) => url !== null) && made;
  });
  expect(styles).toMatchObject({ width: 320, height: 180 });
  expect(styles.styles.map(({ name }) => name)).toEqual(painter?.styles);
  expect(await pictureAt(styles.styles[3]?.url ?? '')).toEqual({ width: 320, height: 180 });

  const newJob = { uploadId: jobId, model: 'painter', parameters: { style: 'candy' }, priority: 'high' };
  const estimate = await page.ask<Estimate>('POST', '/api/estimates', newJob);
  expect(estimate.frames).toBe(FRAMES);
  expect(estimate.wallSeconds[0]).toMatchObject({ machines: 1, money: null });
  const wrongStyle = { ...newJob, parameters: { style: 'none' } };
  expect(await page.errorOf('POST', '/api/jobs', wrongStyle)).toEqual([422, 'STYLE_UNKNOWN']);

  using events = await page.listen(`?job=${jobId}`);
  const started = await page.ask<JobSummary>('POST', '/api/jobs', newJob);
  expect(started).toMatchObject({ jobId, sourceName: 'clip.mp4', settings: 'candy', priority: 'high' });
  // The upload is a job now.
  expect(await page.errorOf('POST', '/api/jobs', newJob)).toEqual([404, 'UPLOAD_UNKNOWN']);
  await events.until<JobSummary[]>('jobs', ([job]) => job?.jobId === jobId && job.doing === 'scoring');
  await events.until<FleetNow>('fleet', ({ machines }) => (machines['working'] ?? 0) > 0);
  await events.until<JobDetail>('job', ({ state }) => state === 'completed');
  await events.until<JobSummary[]>('jobs', ([job]) => job?.state === 'completed');

  const detail = await detailOf(jobId);
  expect(detail).toMatchObject({
    actions: ['clean'],
    result: { name: 'clip.candy.mp4', contentType: 'video/mp4', isPlayable: true },
    frames: { expected: FRAMES, scored: FRAMES, failed: 0 },
  });
  expect(detail.stages.map(({ name }) => name)).toEqual(['waiting', 'splitting', 'scoring', 'joining']);
  const { sheet } = detail;
  expect(sheet).toMatchObject({ width: 320, height: 180 });
  for (const side of ['before', 'after'])
    expect(await pictureAt(`/api/jobs/${jobId}/sheet/${side}/0`)).toEqual({ width: 320, height: 180 });
  expect(await pictureAt(`/api/jobs/${jobId}/thumbnail`)).toEqual({ width: 320, height: 180 });
  expect(await pictureAt(`/api/jobs/${jobId}/frames/${FRAMES - 1}`)).toEqual({ width: 320, height: 180 });
  const list = await page.ask<JobsPage>('GET', '/api/jobs?states=completed&search=clip');
  expect(list).toMatchObject({ total: 1, next: null, unread: 0, jobs: [{ jobId }] });

  const address = `/api/jobs/${jobId}/result`;
  const whole = Buffer.from(await (await page.request('GET', `${address}?download=1`)).arrayBuffer());
  expect(whole.length).toBe(detail.result?.sizeBytes);
  const part = await page.request('GET', address, undefined, { range: 'bytes=100-199' });
  expect([part.status, part.headers.get('content-range')]).toEqual([206, `bytes 100-199/${whole.length}`]);
  expect(Buffer.from(await part.arrayBuffer())).toEqual(whole.subarray(100, 200));
  const outside = await page.request('GET', address, undefined, { range: `bytes=${whole.length}-` });
  expect(outside.status).toBe(416);
  expect(await page.ask<FailedFrameSummary[]>('GET', `/api/jobs/${jobId}/failed`)).toEqual([]);
});

test('images become a job whose result is one archive', async () => {
  const images = await Promise.all(
    ['#c03020', '#2030c0'].map((background) =>
      sharp({ create: { width: 96, height: 64, channels: 3, background } })
        .jpeg()
        .toBuffer(),
    ),
  );
  const files = images.map(({ length }) => ({ name: 'plain.jpg', sizeBytes: length }));
  const made = await page.ask<Upload>('POST', '/api/uploads', files);
  expect(made.files.map(({ name }) => name)).toEqual(['plain.jpg', 'plain (2).jpg']);
  const newJob = { uploadId: made.id, model: 'painter', parameters: {}, priority: 'normal' };
  await page.ask('PUT', `${made.files[0]?.url}/0`, images[0]);
  expect(await page.errorOf('POST', '/api/jobs', newJob)).toEqual([422, 'JOB_INVALID']);
  await page.ask('PUT', `${made.files[1]?.url}/0`, images[1]);
  await page.ask('POST', '/api/jobs', newJob);
  await eventually('the images are done', async () => (await detailOf(made.id)).state === 'completed');
  const response = await page.request('GET', `/api/jobs/${made.id}/result?download=1`);
  expect(response.headers.get('content-type')).toBe('application/zip');
  const archive = Buffer.from(await response.arrayBuffer());
  expect(archive.subarray(0, 2).toString()).toBe('PK');
  expect(archive.includes('plain (2).jpg')).toBe(true);
});

test('what is no job is refused before and after the upload', async () => {
  const files = (...names: string[]) => names.map((name) => ({ name, sizeBytes: 10 }));
  const refused = async (body: unknown) => page.errorOf('POST', '/api/uploads', body);
  expect(await refused(files('a.gif'))).toEqual([422, 'SOURCE_NOT_IMAGE']);
  expect(await refused(files('a.mp4', 'b.mp4'))).toEqual([400, 'REQUEST_INVALID']);
  expect(await refused(files('a.mp4', 'b.jpg'))).toEqual([400, 'REQUEST_INVALID']);
  expect(await refused([{ name: 'a.mp4', sizeBytes: 1e15 }])).toEqual([413, 'SOURCE_TOO_LARGE']);
  expect(await refused([{ name: 'a.mp4', sizeBytes: 0 }])).toEqual([422, 'SOURCE_EMPTY']);

  const text = await upload('no video.mp4', Buffer.from('no video at all'));
  const newJob = { uploadId: text.id, model: 'painter', parameters: {}, priority: 'normal' };
  expect(await page.errorOf('POST', '/api/jobs', newJob)).toEqual([422, 'SOURCE_NOT_VIDEO']);
  const styles = `/api/uploads/${text.id}/styles`;
  expect(await page.errorOf('POST', styles, { model: 'painter' })).toEqual([422, 'SOURCE_NOT_VIDEO']);
  const longer = Buffer.from('no video at all, and more');
  expect(await page.errorOf('PUT', `${text.files[0]?.url}/0`, longer)).toEqual([400, 'REQUEST_INVALID']);
  expect((await page.request('DELETE', `/api/uploads/${text.id}`)).status).toBe(204);
  expect(await page.errorOf('POST', '/api/jobs', newJob)).toEqual([404, 'UPLOAD_UNKNOWN']);
});

test('a job is paused, resumed, given another priority and cancelled', async () => {
  const { id: jobId } = await upload('clip.mp4', clip);
  const newJob = { uploadId: jobId, model: 'painter', parameters: {}, priority: 'low' };
  await page.ask('POST', '/api/jobs', newJob);
  const order = (name: string, body?: unknown) =>
    page.ask<JobSummary>('POST', `/api/jobs/${jobId}/${name}`, body ?? {});
  await eventually('the job is accepted', async () => (await detailOf(jobId)).state === 'running');
  await order('pause');
  await eventually('the page shows the pause', async () => (await detailOf(jobId)).doing === 'paused');
  expect((await detailOf(jobId)).actions).toEqual(['cancel', 'resume', 'priority']);
  await page.ask('PUT', `/api/jobs/${jobId}/priority`, { priority: 'high' });
  await eventually('the page shows it', async () => (await detailOf(jobId)).priority === 'high');
  await order('resume');
  await order('cancel', { keepScored: true });
  await eventually('the job has ended', async () => (await detailOf(jobId)).state === 'cancelled');
  expect(await page.errorOf('POST', `/api/jobs/${jobId}/pause`, {})).toEqual([409, 'JOB_ENDED']);
  expect((await detailOf(jobId)).actions).toEqual(['retry', 'clean']);
});

test('the fleet is shown, explained and overridden, in the name of the page', async () => {
  const set = { mode: 'max', capacity: 1, ttlSeconds: 600, reason: 'other work' };
  const fleetNow = await page.ask<FleetNow>('PUT', '/api/override', set);
  expect(fleetNow.override).toMatchObject({ mode: 'max', capacity: 1, author: 'page', reason: 'other work' });
  await eventually('the scaler has seen it', async () => {
    const { override } = await page.ask<FleetNow>('GET', '/api/fleet');
    return override?.author === 'page';
  });
  const tooLong = { ...set, ttlSeconds: 1e9 };
  expect(await page.errorOf('PUT', '/api/override', tooLong)).toEqual([400, 'REQUEST_INVALID']);
  const supposed = await page.ask<Explanation>('GET', '/api/explain?backlog=100000');
  expect(supposed.words.join('\n')).toContain('frames left: 100000');
  expect(await page.errorOf('GET', '/api/explain?nonsense=1')).toEqual([400, 'REQUEST_INVALID']);
  const ended = await page.ask<FleetNow>('DELETE', '/api/override', { reason: 'over' });
  expect(ended.override).toBeNull();
  const history = await eventually('a sample is taken', async () => {
    const found = await page.ask<FleetHistory>('GET', '/api/fleet/history?hours=1');
    return found.at.length > 1 && found;
  });
  expect(history.framesLeft).toHaveLength(history.at.length);
});
