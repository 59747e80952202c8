/**
 * The list of 500 jobs (10,000 with `npm run test:page`), and the page of a job with 200,000 frames, in a browser, on a local fleet whose
 * storage holds them: what the document holds stays small.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { inForm } from '../support/fault-form.ts';
import { storeEndedJobs, storeLongJob } from '../support/many-jobs.ts';
import { type PageFleet, startPageFleet } from '../support/page-fleet.ts';
import { PageVisitor } from '../support/page-visitor.ts';

const JOBS = inForm({ short: 500, long: 10_000 });
/** Of four jobs, the third has failed: so has this one. */
const FAILED_JOB = JOBS - 258;
/** A bound for a hang while they are stored. */
const STORING_MS = 1_200_000;
/** The same while the server reads all of them from storage for the first time. */
const READING_MS = 1_200_000;
/** Of the whole document: some cards and the frame around them. */
const ELEMENTS_MAX = 600;

let fleet: PageFleet;
let visitor: PageVisitor;

beforeAll(async () => {
  fleet = await startPageFleet();
  await storeEndedJobs(fleet.blobs, JOBS);
}, STORING_MS);
afterAll(() => fleet[Symbol.asyncDispose]());
afterEach(() => visitor[Symbol.asyncDispose]());

test(
  'the list scrolls to its end with a small document, and comes back to its place from a job',
  async () => {
    visitor = await PageVisitor.open({ address: fleet.address });
    const { page } = visitor;
    await page
      .getByRole('status')
      .filter({ hasText: `${JOBS.toLocaleString('en')} jobs` })
      .waitFor();
    const first = page.getByRole('link', { name: new RegExp(`clip-${JOBS - 1}\\.mp4`) });
    await first.waitFor();
    const countElements = () => page.evaluate(() => document.querySelectorAll('*').length);
    const last = page.getByRole('link', { name: /clip-0\.mp4/ });
    let most = await countElements();
    while ((await last.count()) === 0) {
      await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
      await page.evaluate(() => new Promise(requestAnimationFrame));
      most = Math.max(most, await countElements());
    }
    expect(most).toBeLessThan(ELEMENTS_MAX);
    expect(await first.count()).toBe(0);
    await last.scrollIntoViewIfNeeded();
    const before = await page.evaluate(() => scrollY);
    await last.click();
    await page.getByRole('heading', { name: /clip-0\.mp4/ }).waitFor();
    await page.goBack();
    await last.waitFor();
    await page.waitForFunction((top) => Math.abs(scrollY - top) < 2, before);
  },
  READING_MS,
);

test('a search and a filter find jobs among all', async () => {
  visitor = await PageVisitor.open({ address: fleet.address });
  const { page } = visitor;
  await page.getByRole('searchbox').fill(`clip-${FAILED_JOB}.`);
  await page
    .getByRole('status')
    .filter({ hasText: /^\s*1 job\b/ })
    .waitFor();
  await page.getByRole('link', { name: new RegExp(`clip-${FAILED_JOB}\\.mp4`) }).waitFor();
  await page.getByRole('radio', { name: 'Failed' }).check();
  await page.getByRole('link', { name: new RegExp(`clip-${FAILED_JOB}\\.mp4`) }).waitFor();
  await page.getByRole('radio', { name: 'Cancelled' }).check();
  await page.getByText('No job matches.').waitFor();
  expect(await page.getByRole('list', { name: 'Jobs' }).count()).toBe(0);
});

test('the Tab key walks through the list, and a new job does not move what the visitor looks at', async () => {
  visitor = await PageVisitor.open({ address: fleet.address });
  const { page } = visitor;
  await page.getByRole('link', { name: new RegExp(`clip-${JOBS - 1}\\.mp4`) }).focus();
  for (let step = 0; step < 40; step += 1) await page.keyboard.press('Tab');
  expect(await page.evaluate(() => document.activeElement?.textContent)).toContain(`clip-${JOBS - 41}.mp4`);
  const clip = await fleet.makeClip('fresh.mp4', [['ordinary', 3]]);
  await fleet.submit(clip, '--model', 'hostile');
  await page.getByRole('button', { name: 'Show 1 new job' }).click();
  await page.getByRole('link', { name: /fresh\.mp4/ }).waitFor();
});

test('the page of a job with 200,000 frames shows 10,000 failed ones in parts', async () => {
  const jobId = await storeLongJob(fleet.blobs, { frames: 200_000, failed: 10_000 });
  visitor = await PageVisitor.open({ address: fleet.address });
  await visitor.goto(`/jobs/${jobId}`);
  const { page } = visitor;
  const failed = page.getByRole('region', { name: '10,000 failed frames' });
  await failed.getByText('The model failed for frame 190000.').waitFor();
  const pages = failed.getByRole('navigation', { name: 'Pages of failed frames' });
  await pages.getByText('1 to 24 of 10,000', { exact: true }).waitFor();
  expect(await pages.getByRole('button', { name: 'Previous' }).isDisabled()).toBe(true);
  // The numbers are those of the pictures, also while the next ones are on their way.
  const release = Promise.withResolvers<void>();
  await page.route('**/failed?*', async (route) => {
    await release.promise;
    await route.continue();
  });
  await pages.getByRole('button', { name: 'Next' }).click();
  await failed.locator('ul[aria-busy="true"]').waitFor();
  expect(await pages.getByText('1 to 24 of 10,000', { exact: true }).count()).toBe(1);
  release.resolve();
  await failed.getByText('Frame 190,024').waitFor();
  await pages.getByText('25 to 48 of 10,000').waitFor();
  expect(await failed.getByText('Frame 190,000').count()).toBe(0);
  expect(await failed.getByRole('listitem').count()).toBe(24);
  expect(await page.evaluate(() => document.querySelectorAll('*').length)).toBeLessThan(ELEMENTS_MAX);
  await pages.getByRole('button', { name: 'Previous' }).click();
  await failed.getByText('Frame 190,000').waitFor();
  expect(await page.evaluate(() => document.activeElement?.textContent?.trim())).toBe('Previous');
  // A long reason takes two lines until it is opened.
  const reason = failed.locator('.reason').first();
  const lines = () =>
    reason.evaluate(
      (element) => element.getBoundingClientRect().height / parseFloat(getComputedStyle(element).lineHeight),
    );
  expect(Math.round(await lines())).toBe(2);
  await reason.locator('summary').click();
  expect(Math.round(await lines())).toBeGreaterThan(2);
});
