/** A new job from a dropped video, in a browser, on a local fleet: style pictures of its first frame, an estimate, go. */
import { readFile } from 'node:fs/promises';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { type PageFleet, startPageFleet } from '../support/page-fleet.ts';
import { PageVisitor } from '../support/page-visitor.ts';

const SAMPLE = 'infra/sample/harbour.mp4';
const STYLES = 8;

let fleet: PageFleet;

beforeAll(async () => {
  fleet = await startPageFleet();
});
afterAll(() => fleet[Symbol.asyncDispose]());

/** Drops a file on the page, as a file manager does. */
async function drop({ page }: PageVisitor, file: string): Promise<void> {
  const base64 = (await readFile(file)).toString('base64');
  await page.evaluate((bytes) => {
    const transfer = new DataTransfer();
    const content = Uint8Array.from(atob(bytes), (character) => character.charCodeAt(0));
    transfer.items.add(new File([content], 'harbour.mp4', { type: 'video/mp4' }));
    for (const type of ['dragover', 'drop'])
      document.body.dispatchEvent(
        new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }),
      );
  }, base64);
}

test('the whole page is used with the keyboard: focus goes to the title of each view, and never gets lost', async () => {
  await using visitor = await PageVisitor.open({ address: fleet.address, scheme: 'dark', isPhone: true });
  const { page } = visitor;
  const focused = () =>
    page.evaluate(() => {
      const { activeElement: element } = document;
      return `${element?.tagName} ${element?.textContent?.trim()}`;
    });
  await page.keyboard.press('Tab');
  expect(await focused()).toBe('A Skip to the content');
  await page.keyboard.press('Enter');
  expect(await page.evaluate(() => document.activeElement?.id)).toBe('main');
  await page.getByRole('link', { name: 'Fleet', exact: true }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Fleet', level: 1 }).waitFor();
  expect(await focused()).toBe('H1 Fleet');
  await page.getByRole('link', { name: 'New job' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'New job' }).waitFor();
  expect(await focused()).toBe('H1 New job');
  await page.keyboard.press('Tab');
  expect(await page.evaluate(() => (document.activeElement as HTMLInputElement).type)).toBe('file');
  expect(await visitor.graveFindings()).toEqual([]);
  expect(await visitor.overflow()).toBe(0);
  expect(visitor.complaints).toEqual([]);
});

test('a video dropped on the list becomes a job in the style that its visitor picks', async () => {
  await using visitor = await PageVisitor.open({ address: fleet.address });
  const { page } = visitor;
  await drop(visitor, SAMPLE);
  await page.getByRole('heading', { name: 'New job' }).waitFor();
  const styles = page.getByRole('group', { name: 'Style' });
  await styles
    .locator('img')
    .nth(STYLES - 1)
    .waitFor();
  for (const picture of await styles.locator('img').all())
    await picture.evaluate((image: HTMLImageElement) => image.decode());
  await styles.getByRole('radio', { name: 'The Great Wave off Kanagawa' }).check();
  await page.getByLabel('Blend with').selectOption('Candy');
  await page.getByRole('slider', { name: 'Share of Candy' }).fill('25');
  await page.getByRole('table', { name: 'Estimate for 100 frames' }).waitFor();
  expect(await visitor.graveFindings()).toEqual([]);
  await visitor.picture('new-job');
  await page.getByRole('radio', { name: 'low' }).check();
  await page.getByRole('button', { name: 'Start the job' }).click();
  await page.getByRole('heading', { name: /^harbour\.mp4/ }).waitFor();
  await page.getByText('great-wave:75,candy:25').waitFor();
  expect(await page.getByLabel('Priority').inputValue()).toBe('low');
  await page.getByRole('button', { name: 'Cancel…' }).click();
  await page.getByRole('button', { name: 'Cancel the job' }).click();
  await page.locator('h1 .state').filter({ hasText: 'cancelled' }).waitFor();
  expect(visitor.complaints).toEqual([]);
});

test('a file that is no video is refused with what to do', async () => {
  await using visitor = await PageVisitor.open({ address: fleet.address });
  await visitor.goto('/new');
  const { page } = visitor;
  await page.getByLabel(/Drop a video/).setInputFiles({
    name: 'notes.txt',
    mimeType: 'text/plain',
    buffer: Buffer.from('no picture'),
  });
  const alert = page.getByRole('alert').first();
  await alert.waitFor();
  expect(await alert.textContent()).toMatch(/SOURCE_|REQUEST_/);
});
