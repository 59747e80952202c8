/** `npm run share`, as an operator runs it; what a partner's files become on a fleet is in `share-local.test.ts`. */
import { afterAll, beforeAll, expect, test } from 'vitest';

import { shareBlob } from '../../../shared/contract/blob-names.ts';
import { DEFAULT_SETTINGS } from '../../../shared/contract/job.ts';
import { shareAgreement } from '../../../shared/contract/share.ts';
import { type CommandEnd, share } from '../../support/commands.ts';
import { type TestStorage, startTestStorage } from '../../support/servers.ts';
import { publishModel } from '../../support/upload-job.ts';

const WEEK_MS = 7 * 86_400_000;

let storage: TestStorage;

beforeAll(async () => {
  storage = await startTestStorage();
  await publishModel(storage.blobs, 'painter', '1');
});
afterAll(() => storage[Symbol.asyncDispose]());

function run(...args: string[]): Promise<CommandEnd> {
  const { media, system } = storage.connection;
  const environment = { FRAMEFLEET_MEDIA_STORAGE: media, FRAMEFLEET_SYSTEM_STORAGE: system };
  return share(args, { localFolder: '/nowhere', environment }).end;
}
const agreementOf = async (partner: string) =>
  shareAgreement.parse(JSON.parse(String(await storage.blobs.get('control', shareBlob(partner)))));

test('a share is opened with its settings, listed, and opened again on the same terms', async () => {
  expect(await run('list')).toMatchObject({
    status: 0,
    stdout: '',
    stderr: 'Nothing is shared with anybody.\n',
  });
  const first = await run('open', 'acme', '--style', 'great-wave', '--priority', 'low', '--max-cost', '20');
  expect(first.status).toBe(0);
  expect(first.stdout).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/framefleetmedia\/share-acme\?\S*sp=cw\S*\n$/);
  expect(first.stderr).toContain('painter, style great-wave, low priority, at most 20');
  expect(first.stderr).toContain('/share-acme/clip.mp4?');
  const agreed = await agreementOf('acme');
  expect(agreed.settings).toMatchObject({
    parameters: { style: 'great-wave' },
    priority: 'low',
    spendingMax: 20,
  });

  const again = await run('open', 'acme', '--for', '12h', '--json');
  const { address, ...told } = JSON.parse(again.stdout) as { address: string };
  expect(new URL(address).pathname).toBe('/framefleetmedia/share-acme');
  const stands = await agreementOf('acme');
  expect(told).toEqual({ ...stands, container: 'share-acme' });
  expect(stands).toMatchObject({ createdAt: agreed.createdAt, settings: agreed.settings });
  expect(Date.parse(stands.addressExpiresAt)).toBeLessThan(Date.parse(agreed.addressExpiresAt));
  expect(Date.parse(agreed.addressExpiresAt)).toBeLessThanOrEqual(Date.parse(agreed.createdAt) + WEEK_MS);

  await run('open', 'acme', '--priority', 'high');
  expect((await agreementOf('acme')).settings).toEqual({ ...DEFAULT_SETTINGS, priority: 'high' });
  await storage.blobs.put('share-acme', 'clip.mp4', 'x');
  const { stdout } = await run('list');
  expect(stdout).toMatch(/^acme +painter, high priority +\S+ \S+ +\S+ \S+ +1$/m);
  const listed = JSON.parse((await run('list', '--json')).stdout) as { count: number; shares: unknown[] };
  expect(listed).toMatchObject({ count: 1, shares: [{ partner: 'acme', waiting: 1 }] });
});

test('a share is not closed over what is waiting there, unless that is said', async () => {
  await run('open', 'corp');
  await storage.blobs.put('share-corp', 'a.mp4', 'x');
  await storage.blobs.put('share-corp', 'b.mp4', 'x');
  const refused = await run('close', 'corp');
  expect(refused).toMatchObject({ status: 1, stdout: '' });
  expect(refused.stderr).toMatch(/still waiting there: 2 files\.\n.*--discard/);
  expect(await agreementOf('corp')).toMatchObject({ partner: 'corp' });

  expect(JSON.parse((await run('close', 'corp', '--discard', '--json')).stdout)).toEqual({
    closed: 'corp',
    discarded: 2,
  });
  expect(await storage.blobs.get('control', shareBlob('corp'))).toBeUndefined();
  const gone = await run('close', 'corp', '--json');
  expect(gone.status).toBe(66);
  expect(JSON.parse(gone.stdout)).toMatchObject({ error: { code: 'SHARE_UNKNOWN' } });
});

test.each([
  ['a style that there is not', ['open', 'wrong', '--style', 'cubist'], 65, 'starry-night'],
  ['a model that there is not', ['open', 'wrong', '--model', 'upscaler'], 65, 'painter (1)'],
  ['a name that is none', ['open', 'Wrong'], 64, 'lower-case'],
])('%s is refused before anybody is let in', async (_, args, status, named) => {
  const refused = await run(...args);
  expect(refused).toMatchObject({ status, stdout: '' });
  expect(refused.stderr).toContain(named);
  expect(await storage.blobs.get('control', shareBlob('wrong'))).toBeUndefined();
});

test('an agreement that somebody spoilt is listed, and can be made anew or closed', async () => {
  await run('open', 'spoilt');
  await storage.blobs.put('control', shareBlob('spoilt'), '{}');
  expect((await run('list')).stdout).toMatch(/^spoilt +unreadable: open it again/m);
  await run('open', 'spoilt');
  expect(await agreementOf('spoilt')).toMatchObject({ settings: DEFAULT_SETTINGS });
  await storage.blobs.put('control', shareBlob('spoilt'), '{}');
  expect((await run('close', 'spoilt')).status).toBe(0);
});

test('without a fleet it says that there is none', async () => {
  const { status, stderr } = await share(['list'], { localFolder: '/nowhere' }).end;
  expect(status).toBe(64);
  expect(stderr).toContain('npm start');
});
