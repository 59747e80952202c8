/** `npm run share` as an operator runs it. `share-local.test.ts` tests the jobs of a partner's files. */
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

test('share opens a container with settings, lists it, and opens it again with the same settings', async () => {
  expect(await run('list')).toMatchObject({
    status: 0,
    stdout: '',
    stderr: 'No shares.\n',
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

test('close rejects a share with waiting files, unless --discard is given', async () => {
  await run('open', 'corp');
  await storage.blobs.put('share-corp', 'a.mp4', 'x');
  await storage.blobs.put('share-corp', 'b.mp4', 'x');
  const refused = await run('close', 'corp');
  expect(refused).toMatchObject({ status: 1, stdout: '' });
  expect(refused.stderr).toMatch(/2 files are still waiting in it\.\n.*--discard/);
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
  ['an unknown style', ['open', 'wrong', '--style', 'cubist'], 65, 'starry-night'],
  ['an unknown model', ['open', 'wrong', '--model', 'upscaler'], 65, 'painter (1)'],
  ['an invalid partner name', ['open', 'Wrong'], 64, 'lower-case'],
])('open rejects %s and creates no share', async (_, args, status, named) => {
  const refused = await run(...args);
  expect(refused).toMatchObject({ status, stdout: '' });
  expect(refused.stderr).toContain(named);
  expect(await storage.blobs.get('control', shareBlob('wrong'))).toBeUndefined();
});

test('a corrupt agreement is listed, and can be opened again or closed', async () => {
  await run('open', 'corrupt');
  await storage.blobs.put('control', shareBlob('corrupt'), '{}');
  expect((await run('list')).stdout).toMatch(/^corrupt +unreadable: open the share again/m);
  await run('open', 'corrupt');
  expect(await agreementOf('corrupt')).toMatchObject({ settings: DEFAULT_SETTINGS });
  await storage.blobs.put('control', shareBlob('corrupt'), '{}');
  expect((await run('close', 'corrupt')).status).toBe(0);
});

test('share gives a hint if there is no fleet', async () => {
  const { status, stderr } = await share(['list'], { localFolder: '/nowhere' }).end;
  expect(status).toBe(69);
  expect(stderr).toContain('npm start');
});
