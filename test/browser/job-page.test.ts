/** The page of a job, in a browser, on a local fleet: a finished job with a failed frame, and a long one that is steered. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { type PageFleet, startPageFleet } from '../support/page-fleet.ts';
import { PageVisitor } from '../support/page-visitor.ts';

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

test('a running job is paused, gets another priority, is resumed and cancelled', async () => {
  const clip = await fleet.makeClip('long.mp4', [['slow', 200]]);
  const longJob = await fleet.submit(clip, '--model', 'hostile');
  const { page } = await open();
  await visitor.goto(`/jobs/${longJob}`);
  const state = page.locator('h1 .state');
  await page.getByRole('button', { name: 'Pause' }).click();
  await state.filter({ hasText: 'paused' }).waitFor();
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
});
