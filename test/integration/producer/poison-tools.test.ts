/** `npm run poison` as an operator runs it, on the queue emulator. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import type { WorkQueue } from '../../../shared/azure/work-queue.ts';
import { poisonBodyBlob, redriveBlob, triggerBlob } from '../../../shared/contract/blob-names.ts';
import { type PoisonMessage, encodeMessage } from '../../../shared/contract/messages.ts';
import { REDRIVE_PREFIX, decodeRedriveRequest } from '../../../shared/contract/redrive-request.ts';
import { buildPoison } from '../../support/build-poison.ts';
import { type RunningCommand, poison as runPoison } from '../../support/commands.ts';
import { eventually } from '../../support/eventually.ts';
import { type TestStorage, startTestStorage } from '../../support/servers.ts';
import { mustReceive, openTestQueue } from '../../support/test-queue.ts';

const JOB = '20261123-061502-harbour-9f3a1c';

let storage: TestStorage;
let poison: WorkQueue;
let batches: WorkQueue;

beforeAll(async () => {
  storage = await startTestStorage();
  for (const jobId of [JOB, 'job-1']) await storage.blobs.put('incoming', triggerBlob(jobId), '{}');
});
afterAll(() => storage[Symbol.asyncDispose]());
beforeEach(async () => {
  poison = (await openTestQueue(storage, 'frame-batches-poison')).queue;
  batches = (await openTestQueue(storage, 'frame-batches')).queue;
  for (const name of await requests()) await storage.blobs.remove('control', name);
});

function start(...args: string[]): RunningCommand {
  const { media, system } = storage.connection;
  return runPoison(args, {
    localFolder: '/nowhere',
    environment: { FRAMEFLEET_MEDIA_STORAGE: media, FRAMEFLEET_SYSTEM_STORAGE: system },
  });
}
const run = (...args: string[]) => start(...args).end;
async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { stdout } = await run(...args, '--json');
  return JSON.parse(stdout) as Record<string, unknown>;
}
const put = (...entries: PoisonMessage[]) =>
  Promise.all(entries.map((entry) => poison.send(encodeMessage(entry))));

async function requests(): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of storage.blobs.list('control', { prefix: REDRIVE_PREFIX })) names.push(name);
  return names;
}

/** The number of messages on the queue that no command has leased, 32 at most. */
async function visible(): Promise<number> {
  const taken = await poison.receiveSeveral({ max: 32, visibilityTimeoutSeconds: 600 });
  for (const message of taken) await poison.update(message, { visibilityTimeoutSeconds: 0 });
  return taken.length;
}

test('every action accepts an empty queue', async () => {
  expect(await run('list')).toMatchObject({
    status: 0,
    stdout: '',
    stderr: 'The poison queue is empty.\n',
  });
  expect(await json('list')).toEqual({ count: 0, entries: [] });
  expect(await run('redrive', '--all')).toMatchObject({ status: 0, stdout: '' });
  expect(await json('drop', '--all')).toEqual({ count: 0, messages: 0, dropped: [] });
});

test('list prints one line for all copies of a failure and leaves them on the queue', async () => {
  const one = buildPoison('a-inference', { jobId: JOB });
  await put(one, one, buildPoison('b-engine', { reason: 'engine', message: 'it \u001b[2J died' }));
  await put(buildPoison('c-malformed', { reason: 'malformed', batch: null, attempts: 0, body: 'x' }));
  const { status, stdout } = await run('list');
  expect(status).toBe(0);
  const lines = stdout.trimEnd().split('\n');
  expect(lines).toHaveLength(4);
  expect(lines[0]).toMatch(/^ID +REASON +JOB +FRAMES +ATTEMPTS +WHEN +COPIES +MESSAGE$/);
  const rest = '12-14,20 +3 +2026-11-23 06:20:00Z +2 +no output';
  expect(stdout).toMatch(new RegExp(`^a-inference +inference +${JOB} +${rest}$`, 'm'));
  expect(stdout).toMatch(/^c-malformed +malformed +- +- +- /m);
  expect(stdout).toContain('it ·[2J died');
  expect(await visible()).toBe(4);
});

test('list filters by job, by reason and by id', async () => {
  await put(
    buildPoison('a', { jobId: JOB }),
    buildPoison('b'),
    buildPoison('c', { reason: 'engine' }),
    buildPoison('d', { reason: 'malformed', batch: null }),
  );
  const ids = async (...args: string[]): Promise<string[]> => {
    const { entries } = await json('list', ...args);
    return (entries as { id: string }[]).map(({ id }) => id).toSorted();
  };
  expect(await ids('--job', JOB)).toEqual(['a']);
  expect(await ids('--reason', 'inference')).toEqual(['a', 'b']);
  expect(await ids('--job', 'job-1', '--reason', 'engine')).toEqual(['c']);
  expect(await ids('--id', 'd', '--id', 'a')).toEqual(['a', 'd']);
  expect(await ids('--job', 'job-none')).toEqual([]);
});

test('show prints all details of an entry, with its message', async () => {
  await put(buildPoison('a', { jobId: JOB }), buildPoison('b'));
  const { status, stdout } = await run('show', 'a');
  expect(status).toBe(0);
  for (const detail of [JOB, '12-14,20', 'painter@1', 'vm-0', '"frameStart": 30']) {
    expect(stdout).toContain(detail);
  }
  expect(await json('show', 'a')).toMatchObject({
    id: 'a',
    jobId: JOB,
    batchIndex: 1,
    attempts: 3,
    dequeueCount: 4,
    copies: 1,
    body: { decoded: { jobId: JOB, frameStart: 30 } },
  });
  expect(await visible()).toBe(2);
});

test('show reads a message that was too large from its blob, and drop removes the blob', async () => {
  const { blobs } = storage;
  await put(buildPoison('large', { body: null }), buildPoison('lost', { body: null }));
  await blobs.put('logs', poisonBodyBlob('large'), Buffer.from('{"is":"large"}').toString('base64'));
  expect(await json('show', 'large')).toMatchObject({ body: { decoded: { is: 'large' } } });
  expect(await json('show', 'lost')).toMatchObject({ body: null });
  expect((await run('show', 'lost')).stdout).toContain('no longer exists');
  await run('drop', '--id', 'large');
  expect(await blobs.get('logs', poisonBodyBlob('large'))).toBeUndefined();
});

test('list shows a message that is not a poison record, with the id of the message', async () => {
  await poison.send('not base64 of anything');
  await poison.send(Buffer.from(JSON.stringify({ version: 9 })).toString('base64'));
  const { entries } = await json('list');
  const sorted = (entries as { id: string; reason: string; jobId: string | null }[]).toSorted((a, b) =>
    a.reason.localeCompare(b.reason),
  );
  expect(sorted).toMatchObject([
    { reason: 'malformed', jobId: null },
    { reason: 'too-new', jobId: null },
  ]);
  expect(await json('show', sorted[0]?.id ?? '')).toMatchObject({ body: { text: 'not base64 of anything' } });
});

test('redrive requests the frames of a job from the producer and removes all copies from the queue', async () => {
  const one = buildPoison('a', { jobId: JOB });
  await put(one, one, buildPoison('b'));
  const { status, stdout } = await run('redrive', '--job', JOB);
  expect({ status, stdout }).toEqual({ status: 0, stdout: 'a\n' });
  expect(await requests()).toEqual([redriveBlob(JOB, 'a')]);
  const request = decodeRedriveRequest(String(await storage.blobs.get('control', redriveBlob(JOB, 'a'))));
  expect(request).toMatchObject({ poisonId: 'a', frames: one.batch?.frames });
  expect(await visible()).toBe(1);
});

test('redrive can be repeated if it was killed after the request and before the removal', async () => {
  await put(buildPoison('a', { jobId: JOB }));
  await storage.blobs.put('control', redriveBlob(JOB, 'a'), '{"half":');
  expect(await json('redrive', '--all')).toEqual({ redriven: ['a'], kept: [] });
  expect(await requests()).toHaveLength(1);
  const request = await storage.blobs.get('control', redriveBlob(JOB, 'a'));
  expect(decodeRedriveRequest(String(request))).toMatchObject({ poisonId: 'a' });
  expect(await json('redrive', '--all')).toEqual({ redriven: [], kept: [] });
});

test('redrive sends a message that is not a batch back unchanged', async () => {
  await put(buildPoison('a', { reason: 'malformed', batch: null, body: 'odd text' }));
  await put(buildPoison('b', { reason: 'malformed', batch: null, body: null }));
  await storage.blobs.put('logs', poisonBodyBlob('b'), 'long text');
  expect(await json('redrive', '--reason', 'malformed')).toMatchObject({ kept: [] });
  const texts = [(await mustReceive(batches)).text, (await mustReceive(batches)).text];
  expect(texts.toSorted()).toEqual(['long text', 'odd text']);
  expect(await poison.countApprox()).toBe(0);
  expect(await requests()).toEqual([]);
});

test('redrive reports entries that it cannot redrive and leaves them on the queue', async () => {
  await put(
    buildPoison('a', { jobId: 'job-gone' }),
    buildPoison('b', { reason: 'malformed', batch: null, body: null }),
    buildPoison('c'),
  );
  const { status, stdout, stderr } = await run('redrive', '--all');
  expect({ status, stdout }).toEqual({ status: 1, stdout: 'c\n' });
  expect(stderr).toContain('a stays on the queue: the job job-gone is no longer in storage.');
  expect(stderr).toContain('b stays on the queue: its message no longer exists.');
  expect(await visible()).toBe(2);
});

test('drop prints the entries that it removed and leaves the others', async () => {
  const one = buildPoison('a', { reason: 'engine' });
  await put(one, one, buildPoison('b'));
  expect(await json('drop', '--reason', 'engine')).toEqual({ count: 1, messages: 2, dropped: ['a'] });
  expect(await visible()).toBe(1);
  expect(await requests()).toEqual([]);
});

test.each([
  ['show', 'zzz'],
  ['redrive', '--id', 'a', '--id', 'zzz'],
  ['drop', '--id', 'zzz'],
])('%s rejects an unknown id and changes no entry: %j %j', async (...args) => {
  await put(buildPoison('a'));
  const { status, stderr } = await run(...args);
  expect(status).toBe(66);
  expect(stderr).toContain('zzz');
  expect(await json(...args)).toMatchObject({ error: { code: 'POISON_NOT_FOUND' } });
  expect(await visible()).toBe(1);
  expect(await requests()).toEqual([]);
});

test.each(['redrive', 'drop', 'show', '', 'lst'])('poison rejects %j without arguments', async (verb) => {
  expect(await run(...(verb === '' ? [] : [verb]))).toMatchObject({ status: 64, stdout: '' });
});

test('list and drop handle more entries than the queue returns in one call', async () => {
  const ids = Array.from({ length: 150 }, (_, index) => `id-${String(index).padStart(3, '0')}`);
  await put(...ids.map((id) => buildPoison(id)));
  const { count, entries } = await json('list');
  expect(count).toBe(150);
  expect((entries as { id: string }[]).map(({ id }) => id).toSorted()).toEqual(ids);
  expect(await json('drop', '--all')).toMatchObject({ count: 150, messages: 150 });
  expect(await poison.countApprox()).toBe(0);
});

test('redrive releases its leases when it is interrupted', async () => {
  await put(...Array.from({ length: 60 }, (_, index) => buildPoison(`id-${index}`, { jobId: JOB })));
  const command = start('redrive', '--all');
  await eventually('it has leased entries', async () => (await requests()).length > 0);
  command.child.kill('SIGINT');
  const { status } = await command.end;
  expect([0, 130]).toContain(status);
  const left = await poison.countApprox();
  expect(left + (await requests()).length).toBeGreaterThanOrEqual(60);
  expect(await visible()).toBe(Math.min(32, left));
});

test('poison gives a hint if there is neither storage nor a local fleet', async () => {
  const { status, stderr } = await runPoison(['list'], { localFolder: '/nowhere' }).end;
  expect(status).toBe(69);
  expect(stderr).toContain('npm start');
  const { media } = storage.connection;
  const half = { localFolder: '/nowhere', environment: { FRAMEFLEET_MEDIA_STORAGE: media } };
  expect((await runPoison(['list'], half).end).stderr).toContain('FRAMEFLEET_SYSTEM_STORAGE');
});
