import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { LeaseLostError, type WorkQueue } from '../../../shared/azure/work-queue.ts';
import { systemClock } from '../../../shared/runtime/clock.ts';
import { eventually } from '../../support/eventually.ts';
import { type TestStorage, startTestStorage } from '../../support/servers.ts';
import { type TestQueue, mustReceive, openTestQueue } from '../../support/test-queue.ts';

/** Far longer than a test takes: a message stays hidden until the end. */
const LONG = { visibilityTimeoutSeconds: 600 };
const TEXT = 'bWVzc2FnZQ==';

let storage: TestStorage;
let opened: TestQueue;
let queue: WorkQueue;

beforeAll(async () => {
  storage = await startTestStorage();
});
afterAll(() => storage[Symbol.asyncDispose]());
beforeEach(async () => {
  opened = await openTestQueue(storage, 'frame-batches');
  queue = opened.queue;
});

test('receive returns undefined for an empty queue', async () => {
  expect(await queue.receive(LONG)).toBeUndefined();
});

test('a received message is hidden for its visibility time-out and then delivered again', async () => {
  const visibilityTimeoutSeconds = 2;
  await queue.send(TEXT);
  const requestedAtMs = systemClock.monotonicMs();
  const first = await mustReceive(queue, { visibilityTimeoutSeconds });
  const second = await eventually('the message is visible again', () => queue.receive(LONG));

  expect(systemClock.monotonicMs() - requestedAtMs).toBeGreaterThan(visibilityTimeoutSeconds * 1000 - 50);
  expect(first).toMatchObject({ text: TEXT, dequeueCount: 1 });
  expect(second).toMatchObject({ messageId: first.messageId, text: TEXT, dequeueCount: 2 });
  expect(second.popReceipt).not.toBe(first.popReceipt);
});

test('receive takes one message and leaves the others', async () => {
  await queue.send('YQ==');
  await queue.send('Yg==');
  const texts = [(await mustReceive(queue)).text, (await mustReceive(queue)).text];
  expect(texts.toSorted()).toEqual(['YQ==', 'Yg==']);
  expect(await queue.receive(LONG)).toBeUndefined();
});

test('an update returns a new receipt and invalidates the old one', async () => {
  await queue.send(TEXT);
  const message = await mustReceive(queue);
  const popReceipt = await queue.update(message, LONG);

  expect(popReceipt).not.toBe(message.popReceipt);
  await expect(queue.update(message, LONG)).rejects.toBeInstanceOf(LeaseLostError);
  await expect(queue.remove(message)).rejects.toBeInstanceOf(LeaseLostError);
  expect(await queue.countApprox()).toBe(1);
  await queue.remove({ ...message, popReceipt });
  expect(await queue.countApprox()).toBe(0);
});

test('a receiver whose lease has expired cannot change a message that another has received', async () => {
  await queue.send(TEXT);
  const slow = await mustReceive(queue, { visibilityTimeoutSeconds: 1 });
  const next = await eventually('another receiver gets the message', () => queue.receive(LONG));

  await expect(queue.remove(slow)).rejects.toBeInstanceOf(LeaseLostError);
  await expect(queue.update(slow, { visibilityTimeoutSeconds: 0 })).rejects.toBeInstanceOf(LeaseLostError);
  await queue.remove(next);
  expect(await queue.countApprox()).toBe(0);
});

test('a removed message cannot be removed or updated again', async () => {
  await queue.send(TEXT);
  const message = await mustReceive(queue);
  await queue.remove(message);
  await expect(queue.remove(message)).rejects.toBeInstanceOf(LeaseLostError);
  await expect(queue.update(message, LONG)).rejects.toBeInstanceOf(LeaseLostError);
});

test('an update with visibility 0 makes the message visible at once with its new text', async () => {
  await queue.send(TEXT);
  const message = await mustReceive(queue, LONG);
  await queue.update({ ...message, text: 'bmV3' }, { visibilityTimeoutSeconds: 0 });
  expect(await mustReceive(queue)).toMatchObject({
    messageId: message.messageId,
    text: 'bmV3',
    dequeueCount: 2,
  });
});

test('an update can extend the visibility time-out', async () => {
  await queue.send(TEXT);
  const message = await mustReceive(queue, { visibilityTimeoutSeconds: 1 });
  const popReceipt = await queue.update(message, LONG);
  await queue.send('bWFya2Vy', { visibilityTimeoutSeconds: 2 });
  // The marker becomes visible after the first time-out has passed; the message does not.
  expect(await eventually('the marker is visible', () => queue.receive(LONG))).toMatchObject({
    text: 'bWFya2Vy',
  });
  expect(await queue.receive(LONG)).toBeUndefined();
  await queue.remove({ ...message, popReceipt });
});

test('a message can be sent with a delay', async () => {
  const sentAtMs = systemClock.monotonicMs();
  await queue.send(TEXT, { visibilityTimeoutSeconds: 1 });
  await eventually('the message is visible', () => queue.receive(LONG));
  expect(systemClock.monotonicMs() - sentAtMs).toBeGreaterThan(950);
});

test('the count includes leased messages', async () => {
  for (const text of ['YQ==', 'Yg==', 'Yw==']) await queue.send(text);
  const taken = await mustReceive(queue, LONG);
  await mustReceive(queue, LONG);
  expect(await queue.countApprox()).toBe(3);
  await queue.remove(taken);
  expect(await queue.countApprox()).toBe(2);
});

test('a message never expires', async () => {
  await queue.send(TEXT);
  const [expiresAt] = await opened.expiries();
  expect(expiresAt?.getUTCFullYear()).toBeGreaterThan(2100);
});

test('a message of the maximum length with every character of base64 is returned unchanged', async () => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  const longest = `${alphabet.repeat(1023)}${alphabet.slice(0, -4)}A+==`;
  expect(longest).toHaveLength(64 * 1024);
  await queue.send(longest);
  const message = await mustReceive(queue);
  expect(message.text).toBe(longest);
  await queue.update(message, { visibilityTimeoutSeconds: 0 });
  expect((await mustReceive(queue)).text).toBe(longest);
});

test('receiveSeveral returns at most 32 messages, each with its own lease', async () => {
  for (let count = 0; count < 40; count += 1) await queue.send(TEXT);
  const receive = () => queue.receiveSeveral({ max: 32, visibilityTimeoutSeconds: 600 });
  const [first, second, third] = [await receive(), await receive(), await receive()];
  expect([first, second, third].map(({ length }) => length)).toEqual([32, 8, 0]);
  const [one, other] = first;
  if (one === undefined || other === undefined) throw new Error('expected two messages');
  await queue.remove(one);
  await queue.update(other, { visibilityTimeoutSeconds: 0 });
  expect(await receive()).toMatchObject([{ messageId: other.messageId, text: TEXT, dequeueCount: 2 }]);
});
