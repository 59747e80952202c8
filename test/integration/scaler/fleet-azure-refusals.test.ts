/** What Azure refuses, and what becomes of it: through the real SDK, against the fake Azure Resource Manager. */
import { describe, expect, test } from 'vitest';

import { systemClock } from '../../../shared/runtime/clock.ts';
import { grown, poolOf, seen } from '../../contract/fleet-contract.ts';
import { failure, forbidden, throttled } from '../../support/fake-arm/answers.ts';
import { type AzureBench, openAzureBench } from '../../support/fake-arm/azure-bench.ts';
import { T4_FAMILY } from '../../support/fake-arm/fake-region.ts';
import type { Shortfall } from '../../support/fake-arm/fake-scale-set.ts';
import { REGION_QUOTA, SPOT_QUOTA } from '../../support/fake-arm/quotas.ts';

const ACCEPTED = { kind: 'accepted' };
const STEADY = { name: 'steady', kind: 'on-demand' as const };

/** Looks, then asks for a total. */
async function ask({ fleet, pool }: AzureBench, total: number) {
  await fleet.look();
  return fleet.scaleOut(pool, total);
}

describe('quota', () => {
  test.each([
    { quota: SPOT_QUOTA, named: 'LowPriorityCores', spec: {} },
    { quota: T4_FAMILY, named: 'Standard NCASv3_T4 Family Cores', spec: STEADY },
    { quota: REGION_QUOTA, named: 'Total Regional Cores', spec: STEADY },
  ])('of $named: it says what fits, and what fits is given', async ({ quota, named, spec }) => {
    await using bench = await openAzureBench({ scaleSets: [spec] });
    bench.arm.region.quotas.set(quota, 30, 5);
    await grown(bench, 2);
    const refused = await ask(bench, 20);
    expect(refused).toMatchObject({ kind: 'refused', reason: 'quota', capacityThatFits: 6 });
    expect(refused).toMatchObject({ message: expect.stringContaining(`approved ${named} quota`) as string });
    expect(bench.scaleSet.capacity).toBe(2);
    expect(await ask(bench, 6)).toEqual(ACCEPTED);
  });

  test('of nothing fits nothing more than there is', async () => {
    await using bench = await openAzureBench();
    bench.arm.region.quotas.set(SPOT_QUOTA, 0);
    expect(await ask(bench, 4)).toMatchObject({ kind: 'refused', reason: 'quota', capacityThatFits: 0 });
  });

  test('spot without any leaves the pool on demand to be asked', async () => {
    await using bench = await openAzureBench({ scaleSets: [{}, STEADY] });
    bench.arm.region.quotas.set(SPOT_QUOTA, 0);
    expect(await ask(bench, 4)).toMatchObject({ kind: 'refused', reason: 'quota' });
    expect(await bench.fleet.scaleOut('steady', 4)).toEqual(ACCEPTED);
    expect(poolOf(await bench.fleet.look(), 'steady')).toMatchObject({ capacity: 4, isChanging: true });
  });
});

describe('capacity', () => {
  test.each<{ shortfall: Shortfall; capacity: number; phases: readonly string[] }>([
    { shortfall: 'missing', capacity: 5, phases: ['running', 'running'] },
    { shortfall: 'rolled-back', capacity: 2, phases: ['running', 'running'] },
    { shortfall: 'failed', capacity: 5, phases: ['running', 'running', 'failed', 'failed', 'failed'] },
  ])(
    'that fails after the raise was accepted is told once: the rest is $shortfall, and what came stays',
    async ({ shortfall, capacity, phases }) => {
      await using bench = await openAzureBench();
      Object.assign(bench.scaleSet, { stock: 2, shortfall });
      expect(await ask(bench, 5)).toEqual(ACCEPTED);
      const view = await seen(bench, 'it is over', (one) => !poolOf(one, 'spot').isChanging);
      expect(poolOf(view, 'spot')).toMatchObject({
        capacity,
        refusal: {
          reason: 'capacity',
          message: expect.stringContaining('AllocationFailed: Allocation failed.') as string,
          capacityThatFits: null,
        },
      });
      expect(view.instances.map(({ phase }) => phase)).toEqual(phases);
      expect(poolOf(await bench.fleet.look(), 'spot').refusal).toBeNull();
      bench.pass();
      expect(poolOf(await bench.fleet.look(), 'spot').refusal).toBeNull();
    },
  );

  test('that was missing can be asked for again, without a larger total', async () => {
    await using bench = await openAzureBench();
    bench.scaleSet.stock = 2;
    await ask(bench, 5);
    await seen(bench, 'it is over', (one) => !poolOf(one, 'spot').isChanging);
    bench.scaleSet.stock = 3;
    expect(await bench.fleet.scaleOut('spot', 4)).toMatchObject({ kind: 'refused', reason: 'conflict' });
    expect(await bench.fleet.scaleOut('spot', 5)).toEqual(ACCEPTED);
    await seen(bench, 'all are there', ({ instances }) => instances.length === 5);
  });

  test('machines that could not be made are removed like others', async () => {
    await using bench = await openAzureBench();
    Object.assign(bench.scaleSet, { stock: 1, shortfall: 'failed' });
    await ask(bench, 3);
    const { instances } = await seen(bench, 'it is over', (one) => !poolOf(one, 'spot').isChanging);
    const failed = instances.filter(({ phase }) => phase === 'failed').map(({ instanceId }) => instanceId);
    expect(await bench.fleet.remove('spot', failed)).toEqual(ACCEPTED);
    const left = await seen(bench, 'one is left', (view) => view.instances.length === 1);
    expect(poolOf(left, 'spot').capacity).toBe(1);
  });

  test.each([
    { spec: { kind: 'spot' as const }, reason: 'capacity' },
    { spec: STEADY, reason: 'unavailable' },
  ])('SkuNotAvailable is $reason for a $spec.kind machine', async ({ spec, reason }) => {
    await using bench = await openAzureBench({ scaleSets: [spec] });
    const message =
      "The requested VM size for resource 'Following SKUs have failed for Capacity Restrictions: Standard_NC4as_T4_v3' is currently not available in location 'westeurope'.";
    bench.arm.faults.add({ method: 'PATCH', with: failure(409, 'SkuNotAvailable', message) });
    expect(await ask(bench, 1)).toMatchObject({ kind: 'refused', reason });
  });
});

describe('throttling', () => {
  test('with a wait of 20 minutes comes back at once, with the wait', async () => {
    await using bench = await openAzureBench();
    bench.arm.faults.add({ method: 'PATCH', with: throttled('UpdateVMScaleSet', 1200), times: 1 });
    await bench.fleet.look();
    const beganAtMs = systemClock.monotonicMs();
    expect(await bench.fleet.scaleOut('spot', 1)).toMatchObject({
      kind: 'refused',
      reason: 'throttled',
      retryAfterMs: 1_200_000,
    });
    expect(systemClock.monotonicMs() - beganAtMs).toBeLessThan(5_000);
    expect(bench.arm.writes()).toHaveLength(1);
  });

  test('with a wait is kept, whatever is asked meanwhile', async () => {
    await using bench = await openAzureBench();
    bench.arm.faults.add({ method: 'PATCH', with: throttled('UpdateVMScaleSet', 1200), times: 1 });
    await ask(bench, 1);
    bench.clock.advance(1_100_000);
    expect(await ask(bench, 2)).toMatchObject({ reason: 'throttled', retryAfterMs: 100_000 });
    expect(bench.arm.writes()).toHaveLength(1);
    bench.clock.advance(100_000);
    expect(await ask(bench, 2)).toEqual(ACCEPTED);
  });

  test('never comes of a storm of calls: no minute has more than four writes', async () => {
    await using bench = await openAzureBench({ scaleSets: [{ bootMs: 0, deleteMs: 0 }] });
    const { arm, fleet, clock } = bench;
    const storm: (string | undefined)[] = [];
    for (let second = 0; second < 600; second += 5) {
      const { pools, instances } = await fleet.look().catch(() => ({ pools: [], instances: [] }));
      const outcomes = [
        await fleet.scaleOut('spot', (pools[0]?.capacity ?? 0) + 1),
        await fleet.remove(
          'spot',
          instances.slice(0, 1).map(({ instanceId }) => instanceId),
        ),
      ];
      storm.push(...outcomes.map((one) => (one.kind === 'refused' ? one.reason : undefined)));
      clock.advance(5_000);
    }
    expect(storm).toContain('throttled');
    expect(storm).not.toContain('unreachable');
    const writesAtMs = arm.writes().map(({ atMs }) => atMs);
    expect(writesAtMs.length).toBeGreaterThan(25);
    const inAMinute = writesAtMs.map((from) => writesAtMs.filter((at) => at >= from && at < from + 60_000));
    expect(Math.max(...inAMinute.map(({ length }) => length))).toBe(4);
  });

  test('of one scale set is no matter of another', async () => {
    await using bench = await openAzureBench({ scaleSets: [{}, STEADY] });
    const path = /\/spot\?/;
    bench.arm.faults.add({ method: 'PATCH', path, with: throttled('UpdateVMScaleSet', 600) });
    expect(await ask(bench, 1)).toMatchObject({ reason: 'throttled' });
    expect(await bench.fleet.scaleOut('steady', 1)).toEqual(ACCEPTED);
  });
});

describe('conflict', () => {
  test('a raise is refused where nobody has looked, and nobody is asked', async () => {
    await using bench = await openAzureBench();
    expect(await bench.fleet.scaleOut('spot', 1)).toMatchObject({ kind: 'refused', reason: 'conflict' });
    expect(bench.arm.requests).toEqual([]);
  });

  test('somebody who changes the scale set after the look wins', async () => {
    await using bench = await openAzureBench();
    await bench.fleet.look();
    bench.scaleSet.touch();
    const refused = await bench.fleet.scaleOut('spot', 3);
    expect(refused).toMatchObject({
      kind: 'refused',
      reason: 'conflict',
      message: expect.stringContaining('412 PreconditionFailed') as string,
    });
    expect(bench.scaleSet.capacity).toBe(0);
    expect(await ask(bench, 3)).toEqual(ACCEPTED);
  });

  test('of two processes that have seen the same, one raises', async () => {
    await using bench = await openAzureBench();
    const fleets = [bench.fleet, bench.restart()];
    await Promise.all(fleets.map((fleet) => fleet.look()));
    const outcomes = await Promise.all(fleets.map((fleet) => fleet.scaleOut('spot', 3)));
    expect(outcomes.map(({ kind }) => kind).toSorted()).toEqual(['accepted', 'refused']);
    expect(bench.scaleSet.machines.size).toBe(3);
  });

  test('a removal while another is under way is refused, and works afterwards', async () => {
    await using bench = await openAzureBench();
    await grown(bench, 2);
    const other = { ...bench, fleet: bench.restart() };
    await other.fleet.look();
    await bench.fleet.remove('spot', ['0']);
    expect(await other.fleet.remove('spot', ['1'])).toMatchObject({ kind: 'refused', reason: 'conflict' });
    await seen(other, 'the first is over', (view) => !poolOf(view, 'spot').isChanging);
    expect(await other.fleet.remove('spot', ['1'])).toEqual(ACCEPTED);
  });
});

describe('other trouble', () => {
  test('an identity without rights is told from every other', async () => {
    await using bench = await openAzureBench();
    await grown(bench, 1);
    bench.arm.faults.add({ method: 'PATCH', with: forbidden });
    bench.arm.faults.add({ method: 'POST', with: forbidden });
    expect(await ask(bench, 2)).toMatchObject({ kind: 'refused', reason: 'forbidden' });
    expect(await bench.fleet.remove('spot', ['0'])).toMatchObject({ kind: 'refused', reason: 'forbidden' });
  });

  test.each([
    { what: 'fails', trouble: { status: 500 } },
    { what: 'is nonsense from a gateway', trouble: { status: 502, body: 'Bad Gateway' } },
    { what: 'never comes', trouble: 'hang' as const },
    { what: 'breaks off', trouble: 'reset' as const },
  ])('a raise whose answer $what is unreachable, and tried once', async ({ trouble }) => {
    await using bench = await openAzureBench({ callTimeoutMs: 500 });
    bench.arm.faults.add({ method: 'PATCH', with: trouble });
    expect(await ask(bench, 1)).toMatchObject({ kind: 'refused', reason: 'unreachable' });
    expect(bench.arm.writes()).toHaveLength(1);
  });

  test('a raise whose answer is lost is seen to have been made, and not made twice', async () => {
    await using bench = await openAzureBench();
    bench.arm.faults.add({ method: 'PATCH', with: 'unheard', times: 1 });
    expect(await ask(bench, 3)).toMatchObject({ kind: 'refused', reason: 'unreachable' });
    expect(await bench.fleet.scaleOut('spot', 3)).toMatchObject({ reason: 'conflict' });
    expect(poolOf(await bench.fleet.look(), 'spot')).toMatchObject({ capacity: 3, isChanging: true });
    const { instances } = await seen(bench, 'three run', (view) => !poolOf(view, 'spot').isChanging);
    expect(instances).toHaveLength(3);
  });

  test('a removal whose answer is lost is seen to have been made', async () => {
    await using bench = await openAzureBench();
    await grown(bench, 2);
    bench.arm.faults.add({ method: 'POST', with: 'unheard', times: 1 });
    expect(await bench.fleet.remove('spot', ['0'])).toMatchObject({ reason: 'unreachable' });
    const left = await seen(bench, 'one is left', (view) => view.instances.length === 1);
    expect(left.instances).toMatchObject([{ instanceId: '1' }]);
    expect(bench.arm.writes()).toHaveLength(2);
  });

  test('only the capacity is changed, and machines are deleted by force', async () => {
    await using bench = await openAzureBench();
    await grown(bench, 1);
    await bench.fleet.remove('spot', ['0']);
    expect(bench.arm.writes().map(({ body }) => JSON.parse(body) as unknown)).toEqual([
      { sku: { name: 'Standard_NC4as_T4_v3', tier: 'Standard', capacity: 1 } },
      { instanceIds: ['0'] },
    ]);
    expect(bench.arm.writes()[1]?.path).toContain('forceDeletion=true');
  });
});
