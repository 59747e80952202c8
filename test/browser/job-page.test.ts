/** The page of a job, in a browser, on a local fleet: a finished job with a failed frame, and a long one that is steered. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { eventually } from '../support/eventually.ts';
import { type PageFleet, startPageFleet } from '../support/page-fleet.ts';
import { PageVisitor } from '../support/page-visitor.ts';

/** A frame fails for good after several attempts. */
const UNTIL_THE_TEST_ENDS = { timeout: 0 };

let fleet: PageFleet;
let jobId: string;
let visitor: PageVisitor;

const open = async (options: { readonly scheme?: 'light' | 'dark'; readonly isPhone?: boolean } = {}) => {
  visitor = await PageVisitor.open({ address: fleet.address, ...options });
  return visitor;
};

beforeAll(async () => {
  fleet = await startPageFleet();
  const clip = await fleet.makeClip('clip.mp4', [
    ['ordinary', 30],
    ['error', 1],
    ['ordinary', 9],
  ]);
  jobId = await fleet.submit(clip, '--model', 'hostile');
});
afterAll(() => fleet[Symbol.asyncDispose]());
afterEach(async () => {
  visitor.requireNoComplaints();
  await visitor[Symbol.asyncDispose]();
});

test('a job runs to its end before the eyes of the visitor, without a reload', async () => {
  const { page } = await open();
  const card = page.getByRole('listitem').filter({ hasText: 'clip.mp4' });
  await card.getByText('completed').waitFor();
  await card.getByText('1 failed').waitFor();
  expect(
    await page.locator('.job-card .picture img').evaluate((image: HTMLImageElement) => image.decode()),
  ).toBe(undefined);
  await visitor.picture('jobs');
});

/** As another visitor does it. */
async function order(method: 'POST' | 'PUT', path: string, body?: unknown): Promise<void> {
  const status = await visitor.page.evaluate(
    async (request) => {
      const { ok, status: code } = await fetch(`/api/${request.path}`, {
        method: request.method,
        ...(request.body === undefined
          ? {}
          : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(request.body) }),
      });
      return ok ? 'ok' : code;
    },
    { method, path, body },
  );
  expect(status).toBe('ok');
}

async function stateOf(id: string): Promise<string> {
  return visitor.page.evaluate(
    async (path) => ((await (await fetch(path)).json()) as { state: string }).state,
    `/api/jobs/${id}`,
  );
}

test('a filtered list follows the jobs, and has caught up when the visitor comes back to it', async () => {
  const clip = await fleet.makeClip('steered.mp4', [['slow', 200]]);
  const { page } = await open();
  const card = page.getByRole('listitem').filter({ hasText: 'steered.mp4' });
  const count = page.getByRole('status').filter({ hasText: /jobs?/ });
  await page.getByRole('radio', { name: 'Open' }).check();
  await count.filter({ hasText: '0 jobs' }).waitFor();
  const steered = await fleet.submit(clip, '--model', 'hostile');
  await card.waitFor();
  await count.filter({ hasText: '1 job' }).waitFor();
  await order('POST', `jobs/${steered}/cancel`, { keepScored: true });
  await card.waitFor({ state: 'detached' });
  await count.filter({ hasText: '0 jobs' }).waitFor();
  await page.getByRole('radio', { name: 'Cancelled' }).check();
  await card.click();
  await page.getByRole('heading', { name: /steered/ }).waitFor();
  await order('POST', `jobs/${steered}/retry`);
  await eventually('the job runs again', async () => (await stateOf(steered)) !== 'cancelled');
  await page.goBack();
  await card.waitFor({ state: 'detached' });
  await page.getByText('No job matches.').waitFor();
  await order('POST', `jobs/${steered}/cancel`, { keepScored: true });
  await card.waitFor();
});

test('the result plays and can be saved', async () => {
  const { page } = await open();
  await visitor.goto(`/jobs/${jobId}`);
  const video = page.locator('video');
  await video.evaluate((player: HTMLVideoElement) => player.play());
  await page.waitForFunction(() => (document.querySelector('video')?.currentTime ?? 0) > 0);
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: /^Save / }).click(),
  ]);
  expect(download.suggestedFilename()).toBe('clip.hostile.mp4');
});

test('a frame is compared before and after the model, with the keyboard', async () => {
  const { page } = await open();
  await visitor.goto(`/jobs/${jobId}`);
  const divide = page.getByRole('slider', { name: /Divide/ });
  await divide.focus();
  await page.keyboard.press('ArrowRight');
  expect(await divide.getAttribute('aria-valuetext')).toBe('51 % before, 49 % after');
  const clip = () => page.locator('.halves .after').evaluate((image) => getComputedStyle(image).clipPath);
  expect(await clip()).toBe('inset(0px 0px 0px 51%)');
  for (const side of ['before', 'after'])
    await page
      .getByAltText(new RegExp(`${side} the model`))
      .evaluate((image: HTMLImageElement) => image.decode());
});

test('a failed frame is shown as a picture with its reason, and can be retried', async () => {
  const { page } = await open();
  await visitor.goto(`/jobs/${jobId}`);
  const failed = page.getByRole('region', { name: '1 failed frame' });
  await failed.getByText('Frame 30').waitFor();
  // As the command `status` counts them.
  await page.getByText('40 of 40', { exact: true }).waitFor();
  expect(await failed.locator('.reason').textContent()).toMatch(/./);
  await failed.getByRole('img').evaluate((image: HTMLImageElement) => image.decode());
  await failed.getByRole('button', { name: 'Retry 1 failed frame' }).click();
  const state = page.locator('h1 .state');
  await state.filter({ hasNotText: 'completed' }).waitFor();
  await state.filter({ hasText: 'completed' }).waitFor();
});

test('the stages of the job are listed with their durations', async () => {
  const { page } = await open();
  await visitor.goto(`/jobs/${jobId}`);
  const stages = page.getByRole('region', { name: 'Stages' }).getByRole('listitem');
  await stages.first().waitFor();
  const texts = await stages.allTextContents();
  expect(texts.map((text) => /[a-z]+/.exec(text)?.[0])).toEqual(
    expect.arrayContaining(['waiting', 'splitting', 'scoring', 'joining']),
  );
});

test.each([
  { scheme: 'light', isPhone: false },
  { scheme: 'light', isPhone: true },
  { scheme: 'dark', isPhone: false },
  { scheme: 'dark', isPhone: true },
] as const)('axe finds nothing serious: $scheme, on a phone: $isPhone', async (options) => {
  await open(options);
  await visitor.goto(`/jobs/${jobId}`);
  await visitor.page.getByRole('region', { name: 'Stages' }).waitFor();
  expect(await visitor.graveFindings()).toEqual([]);
  expect(await visitor.overflow()).toBe(0);
  await visitor.picture(`job-${options.scheme}`);
});

test('the failed frames of a running job are shown as they come', async () => {
  const clip = await fleet.makeClip('failing.mp4', [
    ['error', 1],
    ['slow', 6],
    ['error', 1],
    ['slow', 40],
  ]);
  const failing = await fleet.submit(clip, '--model', 'hostile', '--batch', '2');
  const { page } = await open();
  await visitor.goto(`/jobs/${failing}`);
  await page
    .getByRole('region', { name: /failed frame/ })
    .getByRole('listitem')
    .first()
    .waitFor(UNTIL_THE_TEST_ENDS);
  const failed = page.getByRole('region', { name: '2 failed frames' });
  await failed.getByRole('listitem').nth(1).waitFor(UNTIL_THE_TEST_ENDS);
  expect(await failed.getByRole('listitem').count()).toBe(2);
  await page.getByRole('button', { name: 'Cancel…' }).click();
  await page.getByRole('button', { name: 'Cancel the job' }).click();
  await page.locator('h1 .state').filter({ hasText: 'cancelled' }).waitFor();
});

test('a running job is paused, gets another priority, is resumed and cancelled', async () => {
  const clip = await fleet.makeClip('long.mp4', [['slow', 200]]);
  const longJob = await fleet.submit(clip, '--model', 'hostile');
  const { page } = await open();
  await visitor.goto(`/jobs/${longJob}`);
  const state = page.locator('h1 .state');
  await page.getByRole('button', { name: 'Pause' }).click();
  await state.filter({ hasText: 'paused' }).waitFor();
  await page.getByRole('button', { name: 'Resume' }).waitFor();
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Resume');
  await page.getByLabel('Priority').selectOption('high');
  await page.getByRole('button', { name: 'Resume' }).click();
  await state.filter({ hasNotText: 'paused' }).waitFor();
  expect(await page.getByLabel('Priority').inputValue()).toBe('high');

  await page.getByRole('button', { name: 'Cancel…' }).click();
  const dialog = page.getByRole('dialog', { name: 'Cancel long.mp4?' });
  await dialog.waitFor();
  expect(await visitor.graveFindings()).toEqual([]);
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  expect(await page.evaluate(() => document.activeElement?.textContent?.trim())).toBe('Cancel…');
  await page.getByRole('button', { name: 'Cancel…' }).click();
  await dialog.getByRole('button', { name: 'Cancel the job' }).click();
  await state.filter({ hasText: 'cancelled' }).waitFor();
  // The button that had the focus is gone.
  expect(await page.evaluate(() => document.activeElement?.tagName)).toBe('H1');
});
