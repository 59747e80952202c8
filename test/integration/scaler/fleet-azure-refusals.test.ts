/** Refusals by Azure: the real SDK against the fake Azure Resource Manager. */
import { describe, expect, test } from 'vitest';

import { systemClock } from '../../../shared/runtime/clock.ts';
import { scaleOutTo, poolOf, waitForSnapshot } from '../../contract/fleet-contract.ts';
import { failure, forbidden, throttled } from '../../support/fake-arm/answers.ts';
import { type AzureFixture, openAzureFixture } from '../../support/fake-arm/azure-fixture.ts';
import { T4_FAMILY } from '../../support/fake-arm/fake-region.ts';
import type { Shortfall } from '../../support/fake-arm/fake-scale-set.ts';
import { REGION_QUOTA, SPOT_QUOTA } from '../../support/fake-arm/quotas.ts';

const ACCEPTED = { kind: 'accepted' };
const STEADY = { name: 'steady', kind: 'on-demand' as const };

/** Looks, then scales out to a total. */
async function lookAndScaleOut({ fleet, pool }: AzureFixture, total: number) {
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
      await using fixture = await openAzureFixture({ scaleSets: [spec] });
      fixture.arm.region.quotas.set(quota, 30, 5);
      await scaleOutTo(fixture, 2);
      const refused = await lookAndScaleOut(fixture, 20);
      expect(refused).toMatchObject({ kind: 'refused', reason: 'quota', capacityThatFits: 6 });
      expect(refused).toMatchObject({
        message: expect.stringContaining(`approved ${named} quota`) as string,
      });
      expect(fixture.scaleSet.capacity).toBe(2);
      expect(await lookAndScaleOut(fixture, 6)).toEqual(ACCEPTED);
    },
  );

  test('a raise with a quota of zero is refused, and no additional capacity fits', async () => {
    await using fixture = await openAzureFixture();
    fixture.arm.region.quotas.set(SPOT_QUOTA, 0);
    expect(await lookAndScaleOut(fixture, 4)).toMatchObject({
      kind: 'refused',
      reason: 'quota',
      capacityThatFits: 0,
    });
  });

  test('the on-demand pool accepts a raise when the spot quota is used up', async () => {
    await using fixture = await openAzureFixture({ scaleSets: [{}, STEADY] });
    fixture.arm.region.quotas.set(SPOT_QUOTA, 0);
    expect(await lookAndScaleOut(fixture, 4)).toMatchObject({ kind: 'refused', reason: 'quota' });
    expect(await fixture.fleet.scaleOut('steady', 4)).toEqual(ACCEPTED);
    expect(poolOf(await fixture.fleet.look(), 'steady')).toMatchObject({ capacity: 4, isChanging: true });
  });
});

describe('capacity', () => {
  test.each<{ shortfall: Shortfall; capacity: number; phases: readonly string[] }>([
    { shortfall: 'missing', capacity: 5, phases: ['running', 'running'] },
    { shortfall: 'rolled-back', capacity: 2, phases: ['running', 'running'] },
    { shortfall: 'failed', capacity: 5, phases: ['running', 'running', 'failed', 'failed', 'failed'] },
  ])(
    'a shortage after an accepted raise is reported once: the rest is $shortfall, existing instances stay',
    async ({ shortfall, capacity, phases }) => {
      await using fixture = await openAzureFixture();
      Object.assign(fixture.scaleSet, { stock: 2, shortfall });
      expect(await lookAndScaleOut(fixture, 5)).toEqual(ACCEPTED);
      const snapshot = await waitForSnapshot(
        fixture,
        'the change has ended',
        (one) => !poolOf(one, 'spot').isChanging,
      );
      expect(poolOf(snapshot, 'spot')).toMatchObject({
        capacity,
        refusal: {
          reason: 'capacity',
          message: expect.stringContaining('AllocationFailed: Allocation failed.') as string,
          capacityThatFits: null,
        },
      });
      expect(snapshot.instances.map(({ phase }) => phase)).toEqual(phases);
      expect(poolOf(await fixture.fleet.look(), 'spot').refusal).toBeNull();
      fixture.pass();
      expect(poolOf(await fixture.fleet.look(), 'spot').refusal).toBeNull();
    },
  );

  test('a raise that fell short is accepted again with the same total', async () => {
    await using fixture = await openAzureFixture();
    fixture.scaleSet.stock = 2;
    await lookAndScaleOut(fixture, 5);
    await waitForSnapshot(fixture, 'the change has ended', (one) => !poolOf(one, 'spot').isChanging);
    fixture.scaleSet.stock = 3;
    expect(await fixture.fleet.scaleOut('spot', 4)).toMatchObject({ kind: 'refused', reason: 'conflict' });
    expect(await fixture.fleet.scaleOut('spot', 5)).toEqual(ACCEPTED);
    await waitForSnapshot(fixture, 'all five exist', ({ instances }) => instances.length === 5);
  });

  test('instances that could not be created can be removed', async () => {
    await using fixture = await openAzureFixture();
    Object.assign(fixture.scaleSet, { stock: 1, shortfall: 'failed' });
    await lookAndScaleOut(fixture, 3);
    const { instances } = await waitForSnapshot(
      fixture,
      'the change has ended',
      (one) => !poolOf(one, 'spot').isChanging,
    );
    const failed = instances.filter(({ phase }) => phase === 'failed').map(({ instanceId }) => instanceId);
    expect(await fixture.fleet.remove('spot', failed)).toEqual(ACCEPTED);
    const left = await waitForSnapshot(fixture, 'one is left', (snapshot) => snapshot.instances.length === 1);
    expect(poolOf(left, 'spot').capacity).toBe(1);
  });

  test.each([
    { spec: { kind: 'spot' as const }, reason: 'capacity' },
    { spec: STEADY, reason: 'unavailable' },
  ])('SkuNotAvailable is $reason for a $spec.kind instance', async ({ spec, reason }) => {
    await using fixture = await openAzureFixture({ scaleSets: [spec] });
    const message =
      "The requested VM size for resource 'Following SKUs have failed for Capacity Restrictions: Standard_NC4as_T4_v3' is currently not available in location 'westeurope'.";
    fixture.arm.faults.add({ method: 'PATCH', with: failure(409, 'SkuNotAvailable', message) });
    expect(await lookAndScaleOut(fixture, 1)).toMatchObject({ kind: 'refused', reason });
  });
});

describe('throttling', () => {
  test('a raise that is throttled for 20 minutes returns at once, with that wait', async () => {
    await using fixture = await openAzureFixture();
    fixture.arm.faults.add({ method: 'PATCH', with: throttled('UpdateVMScaleSet', 1200), times: 1 });
    await fixture.fleet.look();
    const beganAtMs = systemClock.monotonicMs();
    expect(await fixture.fleet.scaleOut('spot', 1)).toMatchObject({
      kind: 'refused',
      reason: 'throttled',
      retryAfterMs: 1_200_000,
    });
    expect(systemClock.monotonicMs() - beganAtMs).toBeLessThan(5_000);
    expect(fixture.arm.writes()).toHaveLength(1);
  });

  test('no write is sent before a Retry-After is over', async () => {
    await using fixture = await openAzureFixture();
    fixture.arm.faults.add({ method: 'PATCH', with: throttled('UpdateVMScaleSet', 1200), times: 1 });
    await lookAndScaleOut(fixture, 1);
    fixture.clock.advance(1_100_000);
    expect(await lookAndScaleOut(fixture, 2)).toMatchObject({ reason: 'throttled', retryAfterMs: 100_000 });
    expect(fixture.arm.writes()).toHaveLength(1);
    fixture.clock.advance(100_000);
    expect(await lookAndScaleOut(fixture, 2)).toEqual(ACCEPTED);
  });

  test('many calls lead to at most four writes in any minute, and never to a 429', async () => {
    await using fixture = await openAzureFixture({ scaleSets: [{ bootMs: 0, deleteMs: 0 }] });
    const { arm, fleet, clock } = fixture;
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
    await using fixture = await openAzureFixture({ scaleSets: [{}, STEADY] });
    const path = /\/spot\?/;
    fixture.arm.faults.add({ method: 'PATCH', path, with: throttled('UpdateVMScaleSet', 600) });
    expect(await lookAndScaleOut(fixture, 1)).toMatchObject({ reason: 'throttled' });
    expect(await fixture.fleet.scaleOut('steady', 1)).toEqual(ACCEPTED);
  });
});

describe('conflict', () => {
  test('a raise before the first look is refused without a call', async () => {
    await using fixture = await openAzureFixture();
    expect(await fixture.fleet.scaleOut('spot', 1)).toMatchObject({ kind: 'refused', reason: 'conflict' });
    expect(fixture.arm.requests).toEqual([]);
  });

  test('a raise is refused if the scale set has changed since the look', async () => {
    await using fixture = await openAzureFixture();
    await fixture.fleet.look();
    fixture.scaleSet.touch();
    const refused = await fixture.fleet.scaleOut('spot', 3);
    expect(refused).toMatchObject({
      kind: 'refused',
      reason: 'conflict',
      message: expect.stringContaining('412 PreconditionFailed') as string,
    });
    expect(fixture.scaleSet.capacity).toBe(0);
    expect(await lookAndScaleOut(fixture, 3)).toEqual(ACCEPTED);
  });

  test('of two processes with the same snapshot, only one raises', async () => {
    await using fixture = await openAzureFixture();
    const fleets = [fixture.fleet, fixture.restart()];
    await Promise.all(fleets.map((fleet) => fleet.look()));
    const outcomes = await Promise.all(fleets.map((fleet) => fleet.scaleOut('spot', 3)));
    expect(outcomes.map(({ kind }) => kind).toSorted()).toEqual(['accepted', 'refused']);
    expect(fixture.scaleSet.machines.size).toBe(3);
  });

  test('a removal is refused while another is in progress, and accepted afterwards', async () => {
    await using fixture = await openAzureFixture();
    await scaleOutTo(fixture, 2);
    const other = { ...fixture, fleet: fixture.restart() };
    await other.fleet.look();
    await fixture.fleet.remove('spot', ['0']);
    expect(await other.fleet.remove('spot', ['1'])).toMatchObject({ kind: 'refused', reason: 'conflict' });
    await waitForSnapshot(other, 'the first has ended', (snapshot) => !poolOf(snapshot, 'spot').isChanging);
    expect(await other.fleet.remove('spot', ['1'])).toEqual(ACCEPTED);
  });
});

describe('other failures', () => {
  test('an identity without permission gets the reason forbidden', async () => {
    await using fixture = await openAzureFixture();
    await scaleOutTo(fixture, 1);
    fixture.arm.faults.add({ method: 'PATCH', with: forbidden });
    fixture.arm.faults.add({ method: 'POST', with: forbidden });
    expect(await lookAndScaleOut(fixture, 2)).toMatchObject({ kind: 'refused', reason: 'forbidden' });
    expect(await fixture.fleet.remove('spot', ['0'])).toMatchObject({ kind: 'refused', reason: 'forbidden' });
  });

  test.each([
    { what: 'fails', effect: { status: 500 } },
    { what: 'comes from a broken gateway', effect: { status: 502, body: 'Bad Gateway' } },
    { what: 'never comes', effect: 'hang' as const },
    { what: 'breaks off', effect: 'reset' as const },
  ])('a raise whose answer $what is refused as unreachable, after one call', async ({ effect }) => {
    await using fixture = await openAzureFixture({ callTimeoutMs: 500 });
    fixture.arm.faults.add({ method: 'PATCH', with: effect });
    expect(await lookAndScaleOut(fixture, 1)).toMatchObject({ kind: 'refused', reason: 'unreachable' });
    expect(fixture.arm.writes()).toHaveLength(1);
  });

  test('a raise whose answer is lost shows in the next look and is not repeated', async () => {
    await using fixture = await openAzureFixture();
    fixture.arm.faults.add({ method: 'PATCH', with: 'lose-answer', times: 1 });
    expect(await lookAndScaleOut(fixture, 3)).toMatchObject({ kind: 'refused', reason: 'unreachable' });
    expect(await fixture.fleet.scaleOut('spot', 3)).toMatchObject({ reason: 'conflict' });
    expect(poolOf(await fixture.fleet.look(), 'spot')).toMatchObject({ capacity: 3, isChanging: true });
    const { instances } = await waitForSnapshot(
      fixture,
      'three run',
      (snapshot) => !poolOf(snapshot, 'spot').isChanging,
    );
    expect(instances).toHaveLength(3);
  });

  test('a removal whose answer is lost shows in the next look', async () => {
    await using fixture = await openAzureFixture();
    await scaleOutTo(fixture, 2);
    fixture.arm.faults.add({ method: 'POST', with: 'lose-answer', times: 1 });
    expect(await fixture.fleet.remove('spot', ['0'])).toMatchObject({ reason: 'unreachable' });
    const left = await waitForSnapshot(fixture, 'one is left', (snapshot) => snapshot.instances.length === 1);
    expect(left.instances).toMatchObject([{ instanceId: '1' }]);
    expect(fixture.arm.writes()).toHaveLength(2);
  });

  test('a raise changes only the capacity, and a removal uses force deletion', async () => {
    await using fixture = await openAzureFixture();
    await scaleOutTo(fixture, 1);
    await fixture.fleet.remove('spot', ['0']);
    expect(fixture.arm.writes().map(({ body }) => JSON.parse(body) as unknown)).toEqual([
      { sku: { name: 'Standard_NC4as_T4_v3', tier: 'Standard', capacity: 1 } },
      { instanceIds: ['0'] },
    ]);
    expect(fixture.arm.writes()[1]?.path).toContain('forceDeletion=true');
  });
});
