/** A new job from a dropped video or images, in a browser, on a local fleet: style pictures of its first frame, an estimate, go. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import sharp from 'sharp';
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

test('images become a job although a part of one is lost on its way; its result is saved, and it is cleaned up', async () => {
  await using visitor = await PageVisitor.open({ address: fleet.address });
  const { page } = visitor;
  // Noise, which PNG cannot compress: two parts.
  const size = { width: 2000, height: 1500, channels: 3 } as const;
  const noise = sharp(randomBytes(size.width * size.height * size.channels), { raw: size });
  const plain = sharp({ create: { ...size, width: 96, height: 64, background: '#2030c0' } });
  const files = [
    { name: 'plain.jpg', mimeType: 'image/jpeg', buffer: await plain.jpeg().toBuffer() },
    { name: 'noise.png', mimeType: 'image/png', buffer: await noise.png().toBuffer() },
  ];
  const sent: string[] = [];
  await page.route('**/files/1/*', async (route) => {
    sent.push(route.request().url().split('/').at(-1) ?? '');
    if (sent.length === 2) await route.abort();
    else await route.continue();
  });
  await visitor.goto('/new');
  await page.getByLabel(/Drop a video/).setInputFiles(files);
  await page.getByRole('group', { name: 'Style' }).getByRole('radio', { name: 'Candy' }).check();
  await page.getByRole('table', { name: 'Estimate for 2 images' }).waitFor();
  expect(sent).toEqual(['0', '1', '1']);
  expect(visitor.complaints.splice(0)).toHaveLength(1);
  expect(await visitor.graveFindings()).toEqual([]);
  await page.getByRole('button', { name: 'Start the job' }).click();
  await page.locator('h1 .state').filter({ hasText: 'completed' }).waitFor();
  await page.getByAltText('Image 0 after the model').first().waitFor();
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: /^Save / }).click(),
  ]);
  expect(download.suggestedFilename()).toMatch(/\.zip$/);
  expect((await readFile(await download.path())).subarray(0, 2).toString()).toBe('PK');

  await page.getByRole('button', { name: 'Clean up…' }).click();
  const dialog = page.getByRole('dialog', { name: /^Remove the stored frames/ });
  await dialog.getByRole('button', { name: 'Remove them' }).click();
  await dialog.waitFor({ state: 'hidden' });
  expect(visitor.complaints).toEqual([]);
});
