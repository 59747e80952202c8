/**
 * `npm run draw:page`: takes the pictures of the web page in docs/, with Chromium, from a local fleet with the first second of the sample in
 * several styles, and the whole sample while it runs. Takes some minutes.
 */
import path from 'node:path';

import { ffmpeg } from '../support/media-clips.ts';
import { startPageFleet } from '../support/page-fleet.ts';
import { PageVisitor } from '../support/page-visitor.ts';

const SAMPLE = 'infra/sample/harbour.mp4';
const FOLDER = 'docs';
const CLIP_FRAMES = 16;
/** In the order of their starts. */
const FINISHED = [
  { name: 'sails.mp4', style: 'great-wave' },
  { name: 'lighthouse.mp4', style: 'candy' },
  { name: 'evening.mp4', style: 'stained-glass' },
  { name: 'harbour-at-dusk.mp4', style: 'starry-night' },
];
const RUNNING_STYLE = 'evening-lights';
const WAITING_STYLE = 'water-lilies';
const STYLES = 8;
const BOUND_MS = 600_000;

await using fleet = await startPageFleet();
const jobIds: string[] = [];
for (const { name, style } of FINISHED) {
  await ffmpeg(['-i', SAMPLE, '-frames:v', String(CLIP_FRAMES), '-crf', '16', fleet.at(name)]);
  jobIds.push(await fleet.submit(fleet.at(name), '--style', style));
}
await using desk = await PageVisitor.open({ address: fleet.address });
for (const jobId of jobIds) {
  await desk.goto(`/jobs/${jobId}`);
  const state = desk.page.locator('h1 .state').filter({ hasText: 'completed' });
  await state.waitFor({ timeout: BOUND_MS });
}
await using night = await PageVisitor.open({ address: fleet.address, scheme: 'dark' });
await night.goto('/new');
await night.page.getByLabel(/Drop a video/).setInputFiles(SAMPLE);
const pictures = night.page.locator('.styles img');
await pictures.nth(STYLES - 1).waitFor({ timeout: BOUND_MS });
await night.page.getByRole('table').waitFor({ timeout: BOUND_MS });
await take(night, 'page-new-job');
await night.goto(`/jobs/${jobIds.at(-1)}`);
await night.page.locator('.comparison').scrollIntoViewIfNeeded();
await take(night, 'page-job');

const running = await fleet.submit(SAMPLE, '--style', RUNNING_STYLE);
await fleet.submit(SAMPLE, '--style', WAITING_STYLE);
await desk.goto(`/jobs/${running}`);
await desk.page.locator('.halves .after').waitFor({ timeout: BOUND_MS });
await desk.goto('/');
await take(desk, 'page-jobs');
await desk.goto('/fleet');
await desk.page.locator('.chart canvas').first().waitFor({ timeout: BOUND_MS });
await take(desk, 'page-fleet');

/** When all pictures are there. */
async function take({ page }: PageVisitor, name: string): Promise<void> {
  await page.waitForLoadState('networkidle').catch(() => undefined);
  for (const image of await page.locator('img:visible').all())
    await image.evaluate((picture: HTMLImageElement) => picture.decode()).catch(() => undefined);
  await page.screenshot({ path: path.join(FOLDER, `${name}.jpg`), type: 'jpeg', quality: 80 });
}
