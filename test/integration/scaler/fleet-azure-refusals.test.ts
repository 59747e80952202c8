/** Refusals by Azure: the real SDK against the fake Azure Resource Manager. */
import { describe, expect, test } from 'vitest';

import { systemClock } from '../../../shared/runtime/clock.ts';
import { scaleOutTo, poolOf, waitForView } from '../../contract/fleet-contract.ts';
import { failure, forbidden, throttled } from '../../support/fake-arm/answers.ts';
import { type AzureBench, openAzureBench } from '../../support/fake-arm/azure-bench.ts';
import { T4_FAMILY } from '../../support/fake-arm/fake-region.ts';
import type { Shortfall } from '../../support/fake-arm/fake-scale-set.ts';
import { REGION_QUOTA, SPOT_QUOTA } from '../../support/fake-arm/quotas.ts';

const ACCEPTED = { kind: 'accepted' };
const STEADY = { name: 'steady', kind: 'on-demand' as const };

/** Looks, then scales out to a total. */
async function lookAndScaleOut({ fleet, pool }: AzureBench, total: number) {
  await fleet.look();
  return fleet.scaleOut(pool, total);
}

describe('quota', () => {
  test.each([
    { quota: SPOT_QUOTA, named: 'LowPriorityCores', spec: {} },
    { quota: T4_FAMILY, named: 'Standard NCASv3_T4 Family Cores', spec: STEADY },
    { quota: REGION_QUOTA, named: 'Total Regional Cores', spec: STEADY },
  ])(
    'a raise above the quota $named is refused with the capacity that fits, which is then accepted',
    async ({ quota, named, spec }) => {
      await using bench = await openAzureBench({ scaleSets: [spec] });
      bench.arm.region.quotas.set(quota, 30, 5);
      await scaleOutTo(bench, 2);
      const refused = await lookAndScaleOut(bench, 20);
      expect(refused).toMatchObject({ kind: 'refused', reason: 'quota', capacityThatFits: 6 });
      expect(refused).toMatchObject({
        message: expect.stringContaining(`approved ${named} quota`) as string,
      });
      expect(bench.scaleSet.capacity).toBe(2);
      expect(await lookAndScaleOut(bench, 6)).toEqual(ACCEPTED);
    },
  );

  test('a raise with a quota of zero is refused, and no additional capacity fits', async () => {
    await using bench = await openAzureBench();
    bench.arm.region.quotas.set(SPOT_QUOTA, 0);
    expect(await lookAndScaleOut(bench, 4)).toMatchObject({
      kind: 'refused',
      reason: 'quota',
      capacityThatFits: 0,
    });
  });

  test('the on-demand pool accepts a raise when the spot quota is used up', async () => {
    await using bench = await openAzureBench({ scaleSets: [{}, STEADY] });
    bench.arm.region.quotas.set(SPOT_QUOTA, 0);
    expect(await lookAndScaleOut(bench, 4)).toMatchObject({ kind: 'refused', reason: 'quota' });
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
    'a shortage after an accepted raise is reported once: the rest is $shortfall, existing machines stay',
    async ({ shortfall, capacity, phases }) => {
      await using bench = await openAzureBench();
      Object.assign(bench.scaleSet, { stock: 2, shortfall });
      expect(await lookAndScaleOut(bench, 5)).toEqual(ACCEPTED);
      const view = await waitForView(bench, 'the change has ended', (one) => !poolOf(one, 'spot').isChanging);
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

  test('a raise that fell short is accepted again with the same total', async () => {
    await using bench = await openAzureBench();
    bench.scaleSet.stock = 2;
    await lookAndScaleOut(bench, 5);
    await waitForView(bench, 'the change has ended', (one) => !poolOf(one, 'spot').isChanging);
    bench.scaleSet.stock = 3;
    expect(await bench.fleet.scaleOut('spot', 4)).toMatchObject({ kind: 'refused', reason: 'conflict' });
    expect(await bench.fleet.scaleOut('spot', 5)).toEqual(ACCEPTED);
    await waitForView(bench, 'all five exist', ({ instances }) => instances.length === 5);
  });

  test('machines that could not be created can be removed', async () => {
    await using bench = await openAzureBench();
    Object.assign(bench.scaleSet, { stock: 1, shortfall: 'failed' });
    await lookAndScaleOut(bench, 3);
    const { instances } = await waitForView(
      bench,
      'the change has ended',
      (one) => !poolOf(one, 'spot').isChanging,
    );
    const failed = instances.filter(({ phase }) => phase === 'failed').map(({ instanceId }) => instanceId);
    expect(await bench.fleet.remove('spot', failed)).toEqual(ACCEPTED);
    const left = await waitForView(bench, 'one is left', (view) => view.instances.length === 1);
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
    expect(await lookAndScaleOut(bench, 1)).toMatchObject({ kind: 'refused', reason });
  });
});

describe('throttling', () => {
  test('a raise that is throttled for 20 minutes returns at once, with that wait', async () => {
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

  test('no write is sent before a Retry-After is over', async () => {
    await using bench = await openAzureBench();
    bench.arm.faults.add({ method: 'PATCH', with: throttled('UpdateVMScaleSet', 1200), times: 1 });
    await lookAndScaleOut(bench, 1);
    bench.clock.advance(1_100_000);
    expect(await lookAndScaleOut(bench, 2)).toMatchObject({ reason: 'throttled', retryAfterMs: 100_000 });
    expect(bench.arm.writes()).toHaveLength(1);
    bench.clock.advance(100_000);
    expect(await lookAndScaleOut(bench, 2)).toEqual(ACCEPTED);
  });

  test('many calls lead to at most four writes in any minute, and never to a 429', async () => {
    await using bench = await openAzureBench({ scaleSets: [{ bootMs: 0, deleteMs: 0 }] });
    const { arm, fleet, clock } = bench;
    const reasons: (string | undefined)[] = [];
    for (let second = 0; second < 600; second += 5) {
      const { pools, instances } = await fleet.look().catch(() => ({ pools: [], instances: [] }));
      const outcomes = [
        await fleet.scaleOut('spot', (pools[0]?.capacity ?? 0) + 1),
        await fleet.remove(
          'spot',
          instances.slice(0, 1).map(({ instanceId }) => instanceId),
        ),
      ];
      reasons.push(...outcomes.map((one) => (one.kind === 'refused' ? one.reason : undefined)));
      clock.advance(5_000);
    }
    expect(reasons).toContain('throttled');
    expect(reasons).not.toContain('unreachable');
    const writesAtMs = arm.writes().map(({ atMs }) => atMs);
    expect(writesAtMs.length).toBeGreaterThan(25);
    const inAMinute = writesAtMs.map((from) => writesAtMs.filter((at) => at >= from && at < from + 60_000));
    expect(Math.max(...inAMinute.map(({ length }) => length))).toBe(4);
  });

  test('a throttled scale set does not affect another one', async () => {
    await using bench = await openAzureBench({ scaleSets: [{}, STEADY] });
    const path = /\/spot\?/;
    bench.arm.faults.add({ method: 'PATCH', path, with: throttled('UpdateVMScaleSet', 600) });
    expect(await lookAndScaleOut(bench, 1)).toMatchObject({ reason: 'throttled' });
    expect(await bench.fleet.scaleOut('steady', 1)).toEqual(ACCEPTED);
  });
});

describe('conflict', () => {
  test('a raise before the first look is refused without a call', async () => {
    await using bench = await openAzureBench();
    expect(await bench.fleet.scaleOut('spot', 1)).toMatchObject({ kind: 'refused', reason: 'conflict' });
    expect(bench.arm.requests).toEqual([]);
  });

  test('a raise is refused if the scale set has changed since the look', async () => {
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
    expect(await lookAndScaleOut(bench, 3)).toEqual(ACCEPTED);
  });

  test('of two processes with the same view, only one raises', async () => {
    await using bench = await openAzureBench();
    const fleets = [bench.fleet, bench.restart()];
    await Promise.all(fleets.map((fleet) => fleet.look()));
    const outcomes = await Promise.all(fleets.map((fleet) => fleet.scaleOut('spot', 3)));
    expect(outcomes.map(({ kind }) => kind).toSorted()).toEqual(['accepted', 'refused']);
    expect(bench.scaleSet.machines.size).toBe(3);
  });

  test('a removal is refused while another is in progress, and accepted afterwards', async () => {
    await using bench = await openAzureBench();
    await scaleOutTo(bench, 2);
    const other = { ...bench, fleet: bench.restart() };
    await other.fleet.look();
    await bench.fleet.remove('spot', ['0']);
    expect(await other.fleet.remove('spot', ['1'])).toMatchObject({ kind: 'refused', reason: 'conflict' });
    await waitForView(other, 'the first has ended', (view) => !poolOf(view, 'spot').isChanging);
    expect(await other.fleet.remove('spot', ['1'])).toEqual(ACCEPTED);
  });
});

describe('other failures', () => {
  test('an identity without permission gets the reason forbidden', async () => {
    await using bench = await openAzureBench();
    await scaleOutTo(bench, 1);
    bench.arm.faults.add({ method: 'PATCH', with: forbidden });
    bench.arm.faults.add({ method: 'POST', with: forbidden });
    expect(await lookAndScaleOut(bench, 2)).toMatchObject({ kind: 'refused', reason: 'forbidden' });
    expect(await bench.fleet.remove('spot', ['0'])).toMatchObject({ kind: 'refused', reason: 'forbidden' });
  });

  test.each([
    { what: 'fails', effect: { status: 500 } },
    { what: 'comes from a broken gateway', effect: { status: 502, body: 'Bad Gateway' } },
    { what: 'never comes', effect: 'hang' as const },
    { what: 'breaks off', effect: 'reset' as const },
  ])('a raise whose answer $what is refused as unreachable, after one call', async ({ effect }) => {
    await using bench = await openAzureBench({ callTimeoutMs: 500 });
    bench.arm.faults.add({ method: 'PATCH', with: effect });
    expect(await lookAndScaleOut(bench, 1)).toMatchObject({ kind: 'refused', reason: 'unreachable' });
    expect(bench.arm.writes()).toHaveLength(1);
  });

  test('a raise whose answer is lost shows in the next look and is not repeated', async () => {
    await using bench = await openAzureBench();
    bench.arm.faults.add({ method: 'PATCH', with: 'lose-answer', times: 1 });
    expect(await lookAndScaleOut(bench, 3)).toMatchObject({ kind: 'refused', reason: 'unreachable' });
    expect(await bench.fleet.scaleOut('spot', 3)).toMatchObject({ reason: 'conflict' });
    expect(poolOf(await bench.fleet.look(), 'spot')).toMatchObject({ capacity: 3, isChanging: true });
    const { instances } = await waitForView(bench, 'three run', (view) => !poolOf(view, 'spot').isChanging);
    expect(instances).toHaveLength(3);
  });

  test('a removal whose answer is lost shows in the next look', async () => {
    await using bench = await openAzureBench();
    await scaleOutTo(bench, 2);
    bench.arm.faults.add({ method: 'POST', with: 'lose-answer', times: 1 });
    expect(await bench.fleet.remove('spot', ['0'])).toMatchObject({ reason: 'unreachable' });
    const left = await waitForView(bench, 'one is left', (view) => view.instances.length === 1);
    expect(left.instances).toMatchObject([{ instanceId: '1' }]);
    expect(bench.arm.writes()).toHaveLength(2);
  });

  test('a raise changes only the capacity, and a removal uses force deletion', async () => {
    await using bench = await openAzureBench();
    await scaleOutTo(bench, 1);
    await bench.fleet.remove('spot', ['0']);
    expect(bench.arm.writes().map(({ body }) => JSON.parse(body) as unknown)).toEqual([
      { sku: { name: 'Standard_NC4as_T4_v3', tier: 'Standard', capacity: 1 } },
      { instanceIds: ['0'] },
    ]);
    expect(bench.arm.writes()[1]?.path).toContain('forceDeletion=true');
  });
});
