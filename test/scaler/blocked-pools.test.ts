import { expect, test } from 'vitest';

import {
  blockOf,
  updateBlocks,
  growthLimit,
  isBlockActive,
  isRemovalAllowed,
  recordOutcome,
} from '../../scaler/decide/blocked-pools.ts';
import { type Memory, INITIAL_MEMORY } from '../../scaler/decide/memory.ts';
import { BLOCK_REASONS, type BlockReason, type Pool, type Refusal } from '../../scaler/fleet/fleet.ts';

const MINUTE_MS = 60_000;
const pool = (fields: Partial<Pool> = {}): Pool => ({
  name: 'spot',
  kind: 'spot',
  capacity: 3,
  isChanging: false,
  refusal: null,
  ...fields,
});
const refusal = (
  reason: BlockReason,
  fields: Partial<Refusal> = {},
): { readonly kind: 'refused' } & Refusal => ({
  kind: 'refused',
  reason,
  message: 'no',
  capacityThatFits: null,
  retryAfterMs: null,
  ...fields,
});
const seen = (memory: Memory, atMs: number, fields: Partial<Pool> = {}): Memory =>
  updateBlocks(memory, { pools: [pool(fields)], instances: [] }, atMs);

/** How many minutes the pool is blocked after each refusal in a row, tried again as soon as each block ends. */
function blockMinutes(reason: BlockReason, count: number): readonly number[] {
  let [memory, atMs] = [INITIAL_MEMORY, 0];
  return Array.from({ length: count }, () => {
    memory = recordOutcome(memory, 'spot', refusal(reason), atMs);
    const untilMs = blockOf(memory, 'spot')?.untilMs ?? 0;
    const restMs = untilMs - atMs;
    atMs = untilMs;
    return restMs / MINUTE_MS;
  });
}

test('each reason has its own back-off, doubled with every refusal in a row, up to an hour', () => {
  expect(blockMinutes('quota', 4)).toEqual([10, 20, 40, 60]);
  expect(blockMinutes('capacity', 8)).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
  expect(blockMinutes('forbidden', 2)).toEqual([60, 60]);
  expect(blockMinutes('unavailable', 2)).toEqual([60, 60]);
  expect(blockMinutes('conflict', 1)[0]).toBeLessThan(0.1);
  for (const reason of BLOCK_REASONS) expect(Math.max(...blockMinutes(reason, 40))).toBeLessThanOrEqual(60);
});

test('the time that the service asks for takes precedence, up to an hour', () => {
  const after = (retryAfterMs: number): number =>
    blockOf(recordOutcome(INITIAL_MEMORY, 'spot', refusal('throttled', { retryAfterMs }), 0), 'spot')
      ?.untilMs ?? 0;
  expect([after(1_200_000), after(86_400_000), after(0)]).toEqual([1_200_000, 3_600_000, 0]);
});

test('another reason starts a new series, and so does the same one after hours', () => {
  const once = recordOutcome(INITIAL_MEMORY, 'spot', refusal('capacity'), 0);
  expect(blockOf(recordOutcome(once, 'spot', refusal('quota'), 60_000), 'spot')?.refusals).toBe(1);
  expect(blockOf(recordOutcome(once, 'spot', refusal('capacity'), 60_000), 'spot')?.refusals).toBe(2);
  expect(blockOf(recordOutcome(once, 'spot', refusal('capacity'), 9_000_000), 'spot')?.refusals).toBe(1);
});

test('growth of the pool ends a block, an accepted change does not', () => {
  const blocked = seen(recordOutcome(INITIAL_MEMORY, 'spot', refusal('capacity'), 0), 1_000);
  expect(recordOutcome(blocked, 'spot', { kind: 'accepted' }, 60_000)).toEqual(blocked);
  expect(blockOf(seen(blocked, 70_000, { capacity: 5, isChanging: true }), 'spot')).not.toBeNull();
  expect(blockOf(seen(blocked, 80_000, { capacity: 5, refusal: refusal('capacity') }), 'spot')).toMatchObject(
    { refusals: 2 },
  );
  expect(blockOf(seen(blocked, 90_000, { capacity: 5 }), 'spot')).toBeNull();
});

test('the pool takes what fits once, and is blocked for the rest', () => {
  const blocked = seen(
    recordOutcome(INITIAL_MEMORY, 'spot', refusal('quota', { capacityThatFits: 5 }), 0),
    1_000,
  );
  const max = (memory: Memory, capacity: number) => growthLimit(blockOf(memory, 'spot'), capacity, 30_000);
  expect(max(blocked, 3)).toBe(5);
  const taken = seen(blocked, 20_000, { capacity: 5 });
  expect(max(taken, 5)).toBe(5);
  expect(growthLimit(blockOf(taken, 'spot'), 5, 11 * MINUTE_MS)).toBe(Infinity);
});

test('a fitting capacity that exists already adds nothing', () => {
  const blocked = seen(
    recordOutcome(INITIAL_MEMORY, 'spot', refusal('quota', { capacityThatFits: 2 }), 0),
    1_000,
  );
  expect(growthLimit(blockOf(blocked, 'spot'), 3, 2_000)).toBe(3);
});

test('a lack of instances does not prevent removals, an unavailable service does', () => {
  const may = (reason: BlockReason): boolean =>
    isRemovalAllowed(blockOf(recordOutcome(INITIAL_MEMORY, 'spot', refusal(reason), 0), 'spot'), 500);
  expect(BLOCK_REASONS.filter(may)).toEqual(['quota', 'capacity', 'unavailable']);
});

test('a pool is not blocked for days when the clock jumps back by days', () => {
  const memory = recordOutcome(INITIAL_MEMORY, 'spot', refusal('quota'), 86_400_000);
  expect(isBlockActive(blockOf(memory, 'spot'), 0)).toBe(false);
});
