/** A new job from a dropped video or images, in a browser, on a local fleet: style pictures of its first frame, an estimate, go. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { eventually } from '../support/eventually.ts';
import { type PageFleet, startPageFleet } from '../support/page-fleet.ts';
import { PageVisitor } from '../support/page-visitor.ts';

const SAMPLE = 'infra/sample/harbour.mp4';
const STYLES = 8;

let fleet: PageFleet;

beforeAll(async () => {
  fleet = await startPageFleet();
});
afterAll(() => fleet[Symbol.asyncDispose]());

function focusedTag(page: PageVisitor['page']): Promise<string | undefined> {
  return page.evaluate(() => document.activeElement?.tagName);
}

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
  const table = page.getByRole('table', { name: 'Estimate for 100 frames' });
  await table.waitFor();
  // The table stays while a new one is calculated.
  const release = Promise.withResolvers<void>();
  await page.route('**/api/estimates', async (route) => {
    await release.promise;
    await route.continue();
  });
  const asked = page.waitForRequest('**/api/estimates');
  await page.getByRole('slider', { name: 'Share of Candy' }).fill('50');
  await page.getByRole('slider', { name: 'Share of Candy' }).fill('25');
  await asked;
  expect(await table.getAttribute('aria-busy')).toBe('true');
  release.resolve();
  await page.locator('table[aria-busy="false"]').waitFor();
  expect(await visitor.graveFindings()).toEqual([]);
  await visitor.picture('new-job');
  await page.getByRole('radio', { name: 'low' }).check();
  await page.getByRole('button', { name: 'Start the job' }).click();
  await page.getByRole('heading', { name: /^harbour\.mp4/ }).waitFor();
  await page.getByText('great-wave:75,candy:25').waitFor();
  expect(await page.evaluate(() => document.activeElement?.tagName)).toBe('H1');
  expect(await page.getByLabel('Priority').inputValue()).toBe('low');
  await page.getByRole('button', { name: 'Cancel…' }).click();
  await page.getByRole('button', { name: 'Cancel the job' }).click();
  await page.locator('h1 .state').filter({ hasText: 'cancelled' }).waitFor();
  expect(visitor.complaints).toEqual([]);
});

test('another model takes the blend away, and another draft begins with the defaults', async () => {
  await using visitor = await PageVisitor.open({ address: fleet.address });
  const { page } = visitor;
  await drop(visitor, SAMPLE);
  await page.getByRole('radio', { name: 'Candy' }).check();
  await page.getByLabel('Blend with').selectOption('The Starry Night');
  await page.getByLabel('Model').selectOption('hostile');
  await page.getByLabel('Blend with').waitFor({ state: 'detached' });
  await page.getByLabel('Model').selectOption('painter');
  await page.getByRole('radio', { name: 'The Starry Night' }).waitFor();
  expect(await page.getByRole('radio', { name: 'The Starry Night' }).isChecked()).toBe(true);
  expect(await page.getByLabel('Blend with').inputValue()).toBe('');
  expect(await page.getByRole('slider').count()).toBe(0);
  await page.getByLabel('Model').selectOption('hostile');
  await page.getByRole('radio', { name: 'low' }).check();
  await page.getByRole('button', { name: 'Choose another' }).click();
  await drop(visitor, SAMPLE);
  await page.getByRole('radio', { name: 'The Starry Night' }).waitFor();
  expect(await page.getByRole('radio', { name: 'normal' }).isChecked()).toBe(true);
  await page.getByRole('button', { name: 'Choose another' }).click();
  expect(visitor.complaints).toEqual([]);
});

test('a job whose files were uploaded before those of a newer job appears in an open list when it is started', async () => {
  await using visitor = await PageVisitor.open({ address: fleet.address });
  const { page } = visitor;
  await drop(visitor, SAMPLE);
  await page.getByRole('table', { name: 'Estimate for 100 frames' }).waitFor();
  const clip = await fleet.makeClip('newer.mp4', [['ordinary', 3]]);
  await fleet.submit(clip, '--model', 'hostile');
  const list = await page.context().newPage();
  await list.goto(new URL('/', fleet.address).href);
  await list.getByRole('link', { name: /newer\.mp4/ }).waitFor();
  const older = list
    .getByRole('listitem')
    .filter({ hasText: 'harbour.mp4' })
    .filter({ hasText: 'painter · candy' });
  expect(await older.count()).toBe(0);
  await page.getByRole('radio', { name: 'Candy' }).check();
  await page.getByRole('button', { name: 'Start the job' }).click();
  await older.waitFor();
  await page.getByRole('button', { name: 'Cancel…' }).click();
  await page.getByRole('button', { name: 'Cancel the job' }).click();
  await older.filter({ hasText: 'cancelled' }).waitFor();
  expect(visitor.complaints).toEqual([]);
});

test('a file that is no video is refused by its name, with what to do', async () => {
  await using visitor = await PageVisitor.open({ address: fleet.address });
  await visitor.goto('/new');
  const { page } = visitor;
  await page.getByLabel(/Drop a video/).setInputFiles({
    name: 'notes.txt',
    mimeType: 'text/plain',
    buffer: Buffer.from('no picture'),
  });
  const alert = page.getByRole('alert').first();
  await alert.getByText('"notes.txt" is a text file, not a video.').waitFor();
  expect(await page.getByRole('button', { name: 'Try again' }).count()).toBe(0);
  await page.getByRole('button', { name: 'Choose another' }).click();
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('New job');
  await page
    .getByLabel(/Drop a video/)
    .setInputFiles({ name: 'nothing.mp4', mimeType: 'video/mp4', buffer: Buffer.alloc(0) });
  await alert.getByText('SOURCE_EMPTY').waitFor();
  expect(await page.getByRole('button', { name: 'Try again' }).count()).toBe(0);
});

test('an image that cannot be read is taken out of the draft, and the visitor is asked before an upload is left', async () => {
  await using visitor = await PageVisitor.open({ address: fleet.address });
  await visitor.goto('/new');
  const { page } = visitor;
  const plain = sharp({ create: { width: 96, height: 64, channels: 3, background: '#2030c0' } });
  const good = await plain.png().toBuffer();
  const broken = Buffer.from('no picture');
  const image = (name: string, buffer: Buffer) => ({ name, mimeType: 'image/png', buffer });
  await page.getByLabel(/Drop a video/).focus();
  await page
    .getByLabel(/Drop a video/)
    .setInputFiles([image('one.png', good), image('broken.png', broken), image('two.png', good)]);
  await page.getByText('3 images').waitFor();
  expect(await focusedTag(page)).toBe('H1');
  await page.getByRole('alert').getByText('Cannot use broken.png').waitFor();
  // It is said once, and what cannot become a job cannot be started.
  expect(await page.getByRole('alert').count()).toBe(1);
  expect(await page.getByRole('button', { name: 'Start the job' }).count()).toBe(0);
  await page.getByText('Remove some of them').click();
  await page.getByRole('button', { name: 'Remove broken.png' }).click();
  await page.getByRole('table', { name: 'Estimate for 2 images' }).waitFor();
  expect(await page.getByRole('alert').count()).toBe(0);
  // Without the first image, the styles are shown on the next; without a choice of images, the list goes and hands its focus on.
  const style = page.getByRole('group', { name: 'Style' }).locator('img').first();
  const before = await style.getAttribute('src');
  await page.getByRole('button', { name: 'Remove one.png' }).click();
  await page.getByRole('table', { name: 'Estimate for 1 image' }).waitFor();
  await eventually('the style is shown on the second image', async () => {
    const now = await style.getAttribute('src').catch(() => before);
    return now !== before;
  });
  expect(await focusedTag(page)).toBe('H1');
  await page.getByRole('button', { name: 'Start the job' }).click();
  await page.getByRole('heading', { name: /^images/ }).waitFor();
  await page.locator('h1 .state').filter({ hasText: 'completed' }).waitFor();
  await page.getByText('1 of 1', { exact: true }).waitFor();

  await visitor.goto('/new');
  await page.route('**/files/*/*', () => undefined);
  await page.getByLabel(/Drop a video/).setInputFiles([image('one.png', good)]);
  await page.getByText(/^Uploading/).click();
  const dialog = page.waitForEvent('dialog');
  await page.close({ runBeforeUnload: true });
  expect((await dialog).type()).toBe('beforeunload');
  await (await dialog).accept();
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
  await page.getByText('images: the stored frames are removed.').waitFor();
  expect(visitor.complaints).toEqual([]);
});
