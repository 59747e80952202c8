/**
 * Thousands of malformed messages among valid batches: each is moved to the poison queue with its reason and body, and costs one
 * receive, one copy and one removal. No worker dies, no engine sees one, and the valid batches complete.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { poisonBodyBlob } from '../../shared/contract/blob-names.ts';
import { heartbeatFrom } from '../../shared/contract/heartbeat.ts';
import {
  type BatchMessage,
  MESSAGE_VERSION,
  type PoisonMessage,
  batchMessage,
  decodeMessage,
  encodeMessage,
  poisonMessage,
} from '../../shared/contract/messages.ts';
import { countOf } from '../../shared/contract/ranges.ts';
import { collectResults } from '../support/collect-results.ts';
import { eventually } from '../support/eventually.ts';
import { inForm, printedSeed } from '../support/fault-form.ts';
import { type FuzzedMessage, fuzzedMessages } from '../support/fuzz-messages.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { type StorageProxy, startStorageProxy } from '../support/storage-proxy.ts';
import { openTestQueue } from '../support/test-queue.ts';
import { WorkerFixture, countIn } from '../support/worker-fixture.ts';

/** Enough for one of each kind, in the short form too. */
const BAD = inForm({ short: 900, long: 10_000 });
const GOOD = inForm({ short: 5, long: 20 });
const WORKERS = inForm({ short: 1, long: 2 });
/** Messages on the queue at once. The emulator sorts the whole queue at each receive. */
const PORTION = 500;
const SENT_AT_ONCE = 16;
const FRAMES = ['ordinary', 'ordinary', 'ordinary', 'ordinary'] as const;
const SEGMENTS = 2;
/** A slow machine does not lose a lease. */
const LONG_LEASE = { FRAMEFLEET_LEASE_SECONDS: '60' };
const NEWER = 20;
const NEWER_DELAY_SECONDS = 60;

const random = seededRandom(printedSeed('fuzzed messages'));
let fixture: WorkerFixture;
let proxy: StorageProxy;

beforeAll(async () => {
  fixture = await WorkerFixture.open();
  proxy = await startStorageProxy(fixture.storage);
});
afterEach(async () => {
  await fixture.stopWorkers();
  proxy.requests.clear();
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await fixture[Symbol.asyncDispose]();
});

async function goodBatches(name: string, count: number): Promise<BatchMessage[]> {
  const jobIds = Array.from({ length: count }, (_, index) => `job-${name}-${index}`);
  const segmentFrames = FRAMES.length / SEGMENTS;
  return Promise.all(jobIds.map((jobId) => fixture.storeBatch(jobId, FRAMES, { segmentFrames })));
}

async function sendAll(texts: readonly string[]): Promise<void> {
  const left = [...texts];
  while (left.length > 0)
    await Promise.all(left.splice(0, SENT_AT_ONCE).map((text) => fixture.batches.send(text)));
}

/** Inserts texts at random places. */
function insertAtRandom(texts: readonly string[], among: readonly string[]): string[] {
  const all = [...among];
  for (const text of texts) all.splice(Math.floor(random() * (all.length + 1)), 0, text);
  return all;
}

async function takePoison(): Promise<PoisonMessage[]> {
  const entries: PoisonMessage[] = [];
  for (;;) {
    const messages = await fixture.poison.receiveSeveral({ max: 32, visibilityTimeoutSeconds: 60 });
    if (messages.length === 0) return entries;
    for (const message of messages) {
      const decoded = decodeMessage(message.text, poisonMessage);
      if (decoded.kind !== 'valid') throw new Error('expected a valid entry in poison');
      entries.push(decoded.message);
    }
    await Promise.all(messages.map((message) => fixture.poison.remove(message)));
  }
}

/** The original body, from the entry or from the blob. */
async function bodyOf({ id, body }: PoisonMessage): Promise<string> {
  return body ?? String(await fixture.storage.blobs.get('logs', poisonBodyBlob(id)));
}

/** Messages that have no entry with their exact body, and entries whose body was never sent. */
async function compareBodies(
  sent: readonly FuzzedMessage[],
  entries: readonly PoisonMessage[],
): Promise<{ missing: string[]; unknown: string[] }> {
  const left = Map.groupBy(sent, ({ text }) => text);
  const unknown: string[] = [];
  for (const entry of entries) {
    const body = await bodyOf(entry);
    if (left.get(body)?.pop() === undefined) unknown.push(body.slice(0, 200));
  }
  return { missing: [...left.values()].flat().map(({ name }) => name), unknown };
}

/** The workers' queue calls for each message, by its id, and their calls about pieces and segments. */
function countRequests(): {
  readonly byMessage: Map<string, string[]>;
  readonly poisonSends: number;
  readonly blobs: { fetched: number; stored: number; listed: number };
} {
  const byMessage = new Map<string, string[]>();
  const blobs = { fetched: 0, stored: 0, listed: 0 };
  let poisonSends = 0;
  for (const { operation, messageId, path, service } of proxy.requests.seen) {
    if (messageId !== undefined) {
      const calls = byMessage.get(messageId) ?? [];
      calls.push(operation);
      byMessage.set(messageId, calls);
    }
    if (operation === 'send' && path.includes('/frame-batches-poison/')) poisonSends += 1;
    if (service !== 'blob') continue;
    if (operation === 'get' && path.includes('/pieces/')) blobs.fetched += 1;
    if (operation === 'put' && path.endsWith('.mp4')) blobs.stored += 1;
    if (operation === 'list') blobs.listed += 1;
  }
  return { byMessage, poisonSends, blobs };
}

async function allAreScored(batches: readonly BatchMessage[]): Promise<void> {
  const results = await collectResults(fixture, batches);
  for (const [result, ...others] of results.values()) {
    expect(others).toEqual([]);
    expect(result?.failed).toEqual([]);
    expect(countOf(result?.scored ?? [])).toBe(FRAMES.length);
  }
}

test(`${BAD} malformed messages are moved to the poison queue, and the valid batches among them complete`, async () => {
  const good = await goodBatches('good', GOOD);
  const [first] = good;
  if (first === undefined) throw new Error('expected a good batch');
  const bad = fuzzedMessages(first, BAD, random);
  expect(bad.filter(({ text }) => decodeMessage(text, batchMessage).kind !== 'malformed')).toEqual([]);

  const workers = Array.from({ length: WORKERS }, () => fixture.startWorker(LONG_LEASE, proxy.connection));
  const entries: PoisonMessage[] = [];
  const portions = Math.ceil(BAD / PORTION);
  for (let portion = 0; portion < portions; portion += 1) {
    const ofGood = good.filter((_, index) => index % portions === portion);
    const ofBad = bad.slice(portion * PORTION, (portion + 1) * PORTION);
    await sendAll(
      insertAtRandom(
        ofGood.map((batch) => encodeMessage(batch)),
        ofBad.map(({ text }) => text),
      ),
    );
    await fixture.queueIsEmpty();
    entries.push(...(await takePoison()));
  }

  await allAreScored(good);
  for (const worker of workers) {
    expect(worker.child.exitCode ?? worker.child.signalCode).toBeNull();
    expect(countIn(worker.heard(), 'engine started')).toBe(1);
  }
  // Each malformed message has one entry with its body, after one receive.
  expect(await compareBodies(bad, entries)).toEqual({ missing: [], unknown: [] });
  expect(new Set(entries.map(({ id }) => id)).size).toBe(BAD);
  expect(entries.filter(({ reason, batch }) => reason !== 'malformed' || batch !== null)).toEqual([]);
  const heard = workers.map((worker) => worker.heard()).join('');
  expect(countIn(heard, 'message moved to poison queue')).toBe(BAD);
  // Each one costs a copy and a removal, and no other call to the queues or the engine.
  const { byMessage, poisonSends, blobs } = countRequests();
  expect(poisonSends).toBe(BAD);
  const expensive = entries.filter(
    ({ id }) => byMessage.get(id.replace(/-malformed$/, ''))?.join(' ') !== 'remove',
  );
  expect(expensive).toEqual([]);
  expect(blobs).toEqual({ fetched: GOOD, stored: GOOD * SEGMENTS, listed: GOOD });
});

test(`${NEWER} messages with a newer version are left for newer workers, and the heartbeat says that the worker is too old`, async () => {
  const good = await goodBatches('old', 3);
  const newer = Array.from({ length: NEWER }, (_, index) =>
    Buffer.from(
      JSON.stringify({
        version: MESSAGE_VERSION + 1 + index,
        frames: { from: index },
        later: '作'.repeat(100),
      }),
    ),
  );
  await sendAll(
    insertAtRandom(
      good.map((batch) => encodeMessage(batch)),
      newer.map((json) => json.toString('base64')),
    ),
  );
  const worker = fixture.startWorker({}, proxy.connection);
  await allAreScored(good);
  await eventually(
    'only newer messages are left',
    async () => (await fixture.batches.countApprox()) === NEWER,
  );
  await eventually('the heartbeat says that the worker is too old', async () => {
    for await (const { metadata } of fixture.storage.blobs.list('workers', { withMetadata: true }))
      if (heartbeatFrom(metadata)?.isTooOld === true) return true;
    return false;
  });
  await eventually('the last one is released', () => countIn(worker.heard(), 'newer version') === NEWER);
  await fixture.stopWorkers();

  const { byMessage, poisonSends, blobs } = countRequests();
  const released = [...byMessage.values()].filter((calls) => calls.join(' ') === 'update');
  expect(released).toHaveLength(NEWER);
  expect(byMessage.size).toBe(NEWER + good.length);
  const delays = proxy.requests.of('update').map(({ query }) => Number(query.get('visibilitytimeout')));
  expect(delays.filter((seconds) => seconds === NEWER_DELAY_SECONDS)).toHaveLength(NEWER);
  expect(poisonSends).toBe(0);
  expect(blobs.stored).toBe(good.length * SEGMENTS);
  await (await openTestQueue(fixture.storage, 'frame-batches')).clear();
});
