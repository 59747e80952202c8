/** The page of the fleet, the sign-in and a lost connection, in a browser, on a local fleet. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { eventually } from '../support/eventually.ts';
import { type PageFleet, startPageFleet } from '../support/page-fleet.ts';
import { PageVisitor } from '../support/page-visitor.ts';

let fleet: PageFleet;
let visitor: PageVisitor;

beforeAll(async () => {
  fleet = await startPageFleet();
});
afterAll(() => fleet[Symbol.asyncDispose]());
afterEach(() => visitor[Symbol.asyncDispose]());

async function openFleet(options: { readonly scheme?: 'light' | 'dark'; readonly isPhone?: boolean } = {}) {
  visitor = await PageVisitor.open({ address: fleet.address, ...options });
  await visitor.goto('/fleet');
  await visitor.page.getByRole('heading', { name: 'Why this many' }).waitFor();
  return visitor.page;
}

test('the token is taken from the address, and the session outlives a reload', async () => {
  visitor = await PageVisitor.open({ address: fleet.address });
  const { page } = visitor;
  expect(page.url()).not.toContain('token');
  await page.reload();
  await page.getByRole('heading', { name: 'Jobs' }).waitFor();
  expect(visitor.complaints).toEqual([]);
});

test('a visitor without a session enters the token; a wrong one is refused with what to do', async () => {
  const [address = '', token = ''] = fleet.address.split('#token=');
  visitor = await PageVisitor.open({ address });
  const { page } = visitor;
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  expect(await visitor.graveFindings()).toEqual([]);
  await page.getByLabel('Token').fill('not the token of this fleet');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').getByText('Open the address that npm start printed last.').waitFor();
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'Jobs' }).waitFor();
});

test('an address with the token that is pasted into the open form signs in; a wrong one is refused with what to do', async () => {
  const [address = '', token = ''] = fleet.address.split('#token=');
  visitor = await PageVisitor.open({ address });
  const { page } = visitor;
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await page.goto(`${address}#token=wrong`);
  await page.getByRole('alert').getByText('TOKEN_REFUSED').waitFor();
  expect(page.url()).toBe(address);
  await page.getByLabel('Token').fill(fleet.address);
  await page.getByRole('button', { name: 'Sign in' }).click();
  const titleHasFocus = (title: string) =>
    page.waitForFunction((text) => document.activeElement?.textContent === text, title);
  await titleHasFocus('Jobs');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await titleHasFocus('Sign in');
  await page.reload();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await page.goto(fleet.address);
  await page.getByRole('heading', { name: 'Jobs' }).waitFor();
  await page.context().clearCookies();
  await page.goto(`${address}/#token=${token}`);
  await page.getByRole('heading', { name: 'Jobs' }).waitFor();
  expect(page.url()).toBe(address);
});

test('each view has its title', async () => {
  visitor = await PageVisitor.open({ address: fleet.address });
  const { page } = visitor;
  expect(await page.title()).toBe('Jobs – framefleet');
  for (const [name, title] of [
    ['Fleet', 'Fleet – framefleet'],
    ['New job', 'New job – framefleet'],
    ['Jobs', 'Jobs – framefleet'],
  ] as const) {
    await page.getByRole('link', { name, exact: true }).click();
    await page.getByRole('heading', { name, level: 1 }).waitFor();
    expect(await page.title()).toBe(title);
  }
  await visitor.goto('/nowhere');
  expect(await page.title()).toBe('No such page – framefleet');
  expect(visitor.complaints).toEqual([]);
});

test('the fleet is shown now and over the last hours, as charts and as a table', async () => {
  const page = await openFleet();
  await page.getByText('Machines wanted').waitFor();
  for (const title of ['Frames per second', 'Frames left', 'Machines', 'Cost per hour'])
    await page.getByRole('img', { name: new RegExp(`^${title}\\. `) }).waitFor();
  await page.getByRole('radio', { name: '12 h' }).check();
  await page.getByText('The same as a table').click();
  await page.getByRole('columnheader', { name: 'Frames left' }).waitFor();
  expect(await page.locator('.chart canvas').count()).toBe(4);
  expect(visitor.complaints).toEqual([]);
});

/** The events have told of two more ticks of the scaler. */
async function twoTicks(page: PageVisitor['page']): Promise<void> {
  const told = () =>
    page.evaluate(async () => {
      const source = new EventSource('/api/events');
      const { data } = await new Promise<MessageEvent<string>>((resolve) =>
        source.addEventListener('fleet', resolve, { once: true }),
      );
      source.close();
      return (JSON.parse(data) as { at: string }).at;
    });
  for (let tick = 0; tick < 2; tick += 1) {
    const before = await told();
    await eventually('another tick is told', async () => (await told()) !== before);
  }
}

test('an override is set with a reason and an end, is in force, and is ended', async () => {
  const page = await openFleet();
  const panel = page.getByRole('region', { name: 'Override' });
  await panel.getByRole('radio', { name: 'at most' }).check();
  await panel.getByLabel('Machines').fill('2');
  await panel.getByLabel('For').selectOption('4 hours');
  await panel.getByRole('button', { name: 'Set the override' }).click();
  // The browser refuses: there is no reason yet.
  expect(
    await panel.getByLabel('Reason').evaluate((field: HTMLInputElement) => field.validity.valueMissing),
  ).toBe(true);
  await panel.getByLabel('Reason').fill('demo at ten');
  // News of the fleet leave the form alone.
  await twoTicks(page);
  expect(await panel.getByLabel('Machines').inputValue()).toBe('2');
  await panel.evaluate((section) => {
    const note = () => {
      const form = section.querySelector('button[type="submit"]')?.textContent;
      const { forms = '' } = section.dataset;
      if (form !== undefined && !forms.endsWith(form)) section.dataset['forms'] = `${forms}, ${form}`;
    };
    new MutationObserver(note).observe(section, { childList: true, subtree: true });
  });
  await panel.getByRole('button', { name: 'Set the override' }).click();
  await panel.getByText('at most 2 until ').waitFor();
  await panel.getByText('“demo at ten”').waitFor();
  const focused = () => page.evaluate(() => document.activeElement?.textContent);
  expect(await focused()).toBe('Override');
  await twoTicks(page);
  // The scaler's words have instants in UTC.
  const words = page.getByRole('region', { name: 'Why this many' });
  await words.getByText(/“demo at ten”, since /).waitFor();
  expect(await words.textContent()).not.toMatch(/\d\dT\d\d/);
  await panel.getByLabel('Reason to end it').fill('demo is over');
  await panel.getByRole('button', { name: 'End the override' }).click();
  await panel.getByRole('button', { name: 'Set the override' }).waitFor();
  expect(await focused()).toBe('Override');
  await twoTicks(page);
  // No event of a state from before brought the other form back.
  expect(await panel.getAttribute('data-forms')).toMatch(
    /^(?:, Set the override)?, End the override, Set the override$/,
  );
  expect(visitor.complaints).toEqual([]);
});

test('the decision is explained in words, and so is a supposed situation', async () => {
  const page = await openFleet();
  await page.getByText('There should be 0.').waitFor();
  await page.getByText('What if…').click();
  await page.getByRole('spinbutton', { name: 'Frames left' }).fill('100000');
  await page.getByRole('button', { name: 'Explain' }).click();
  await page.getByRole('heading', { name: 'What if' }).waitFor();
  await page.getByText(/There would be [1-9]/).waitFor();
  await page.getByRole('button', { name: 'Back to now' }).click();
  await page.getByText('There should be 0.').waitFor();
  expect(visitor.complaints).toEqual([]);
});

test.each([
  { scheme: 'light', isPhone: true },
  { scheme: 'dark', isPhone: false },
] as const)('axe finds nothing serious: $scheme, on a phone: $isPhone', async (options) => {
  const page = await openFleet(options);
  await page.getByRole('img', { name: /^Frames left/ }).waitFor();
  expect(await visitor.graveFindings()).toEqual([]);
  expect(await visitor.overflow()).toBe(0);
  await visitor.picture(`fleet-${options.scheme}`);
});

test('a lost connection is shown until it is back; if the token has changed, the visitor is asked for it', async () => {
  const page = await openFleet();
  await fleet.stop();
  const banner = page.getByRole('status').filter({ hasText: 'The connection is lost.' });
  await banner.waitFor();
  expect(await banner.textContent()).toContain('Trying again');
  await page.getByLabel('Reason').fill('demo at ten');
  await page.getByRole('button', { name: 'Set the override' }).click();
  const failure = page.getByText('The server does not answer.').first();
  await failure.waitFor();
  const [address = '', token = ''] = fleet.address.split('#token=');
  const same = { FRAMEFLEET_PAGE_PORT: new URL(address).port };
  await fleet[Symbol.asyncDispose]();
  fleet = await startPageFleet({ ...same, FRAMEFLEET_PAGE_TOKEN: token });
  await banner.waitFor({ state: 'hidden' });
  await failure.waitFor({ state: 'hidden' });
  await fleet[Symbol.asyncDispose]();
  await banner.waitFor();
  fleet = await startPageFleet(same);
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await page.getByLabel('Token').fill(fleet.address);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'Fleet', level: 1 }).waitFor();
  await banner.waitFor({ state: 'hidden' });
});
