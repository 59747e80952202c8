/** Scale sets as a fleet: the real SDK against a fake Azure Resource Manager that implements the real protocol. */
import { describe, expect, test } from 'vitest';

import { FleetUnreadable } from '../../../scaler/fleet/fleet.ts';
import {
  fleetContract,
  scaleOutTo,
  poolOf,
  waitForSnapshot,
  vmIdsOf,
} from '../../contract/fleet-contract.ts';
import { forbidden, throttled } from '../../support/fake-arm/answers.ts';
import { TICK_MS, openAzureFixture } from '../../support/fake-arm/azure-fixture.ts';
import { type ArmFaultEffect } from '../../support/fake-arm/faults.ts';

fleetContract('scale sets on Azure', () => openAzureFixture());

const ACCEPTED = { kind: 'accepted' };

describe('reading', () => {
  test('look() returns the pools in the configured order', async () => {
    const scaleSets = [{ name: 'spot' }, { name: 'steady', kind: 'on-demand' as const }];
    await using fixture = await openAzureFixture({ scaleSets });
    expect((await fixture.fleet.look()).pools).toMatchObject([
      { name: 'spot', kind: 'spot' },
      { name: 'steady', kind: 'on-demand' },
    ]);
  });

  test('look() reads all pages of instances', async () => {
    await using fixture = await openAzureFixture();
    fixture.arm.region.pageSize = 3;
    expect((await scaleOutTo(fixture, 10)).instances).toHaveLength(10);
  });

  test.each<{ what: string; path: RegExp; effect: ArmFaultEffect; reason: string }>([
    { what: 'the scale set fails', path: /\/spot\?/, effect: { status: 500 }, reason: 'unreachable' },
    { what: 'the scale set is forbidden', path: /\/spot\?/, effect: forbidden, reason: 'forbidden' },
    { what: 'the machines fail', path: /virtualMachines\?/, effect: { status: 503 }, reason: 'unreachable' },
    { what: 'the second page fails', path: /skiptoken/, effect: { status: 500 }, reason: 'unreachable' },
    { what: 'the second page is not JSON', path: /skiptoken/, effect: 'garbage', reason: 'unreachable' },
    { what: 'the connection breaks', path: /\/spot\?/, effect: 'reset', reason: 'unreachable' },
    { what: 'the answer is not JSON', path: /\/spot\?/, effect: 'garbage', reason: 'unreachable' },
    {
      what: 'the capacity is missing',
      path: /\/spot\?/,
      effect: {
        status: 200,
        body: { sku: { name: 'Standard_NC4as_T4_v3' }, properties: { provisioningState: 'Succeeded' } },
      },
      reason: 'unreachable',
    },
    {
      what: 'an instance has no id',
      path: /virtualMachines\?/,
      effect: { status: 200, body: { value: [{ properties: { provisioningState: 'Succeeded' } }] } },
      reason: 'unreachable',
    },
    {
      what: 'the second of two pools fails',
      path: /\/steady\?/,
      effect: { status: 500 },
      reason: 'unreachable',
    },
  ])('look() throws if $what, and the next look succeeds', async ({ path, effect, reason }) => {
    const scaleSets = [{ name: 'spot' }, { name: 'steady', kind: 'on-demand' as const }];
    await using fixture = await openAzureFixture({ scaleSets });
    fixture.arm.region.pageSize = 2;
    await scaleOutTo(fixture, 3);
    fixture.pass();
    fixture.arm.faults.add({ path, with: effect, times: 1 });
    const error: unknown = await fixture.fleet.look().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(FleetUnreadable);
    expect(error).toMatchObject({ refusal: { reason } });
    expect((await fixture.fleet.look()).instances).toHaveLength(3);
  });

  test('look() ends within its time-out if the server never answers', async () => {
    await using fixture = await openAzureFixture({ callTimeoutMs: 200 });
    fixture.arm.faults.add({ path: /virtualMachines\?/, with: 'hang' });
    await expect(fixture.fleet.look()).rejects.toThrow(/did not answer within 200 ms/);
  });

  test('a throttled look() pauses reads for as long as Azure asks, at most five minutes', async () => {
    await using fixture = await openAzureFixture();
    fixture.arm.faults.add({ path: /virtualMachines\?/, with: throttled('HighCostGet', 1200), times: 1 });
    const throttle = { refusal: { reason: 'throttled', retryAfterMs: 1_200_000 } };
    await expect(fixture.fleet.look()).rejects.toMatchObject(throttle);
    const requests = fixture.arm.requests.length;
    for (let passedMs = 0; passedMs < 5 * 60_000; passedMs += TICK_MS) {
      await expect(fixture.fleet.look()).rejects.toMatchObject(throttle);
      fixture.pass();
    }
    expect(fixture.arm.requests).toHaveLength(requests);
    expect((await fixture.fleet.look()).instances).toEqual([]);
  });

  test('look() reuses a snapshot for some seconds, or until the next change', async () => {
    await using fixture = await openAzureFixture();
    const { fleet, arm, clock, scaleSet } = fixture;
    await fleet.look();
    const requests = arm.requests.length;
    scaleSet.raise(1);
    clock.advance(5_000);
    expect((await fleet.look()).instances).toEqual([]);
    expect(arm.requests).toHaveLength(requests);
    expect(await fleet.scaleOut('spot', 2)).toMatchObject({ kind: 'refused', reason: 'conflict' });
    expect((await fleet.look()).instances).toHaveLength(1);
    fixture.pass();
    scaleSet.touch();
    await fleet.look();
    expect(arm.requests.length).toBeGreaterThan(requests + 4);
  });

  test('two scalers that look every second are not throttled during a long change', async () => {
    await using fixture = await openAzureFixture();
    const { fleet, clock, scaleSet } = fixture;
    const other = fixture.restart();
    scaleSet.neverBoot = true;
    await fleet.look();
    await fleet.scaleOut('spot', 2);
    for (let second = 0; second < 1_800; second += 1) {
      expect((await fleet.look()).instances).toHaveLength(2);
      expect((await other.look()).instances).toHaveLength(2);
      clock.advance(1_000);
    }
  });
});

describe('eviction', () => {
  test('an evicted instance that is deleted is gone and lowers the capacity', async () => {
    await using fixture = await openAzureFixture({ scaleSets: [{ evictionPolicy: 'Delete' }] });
    const { instances } = await scaleOutTo(fixture, 3);
    const [evicted, ...left] = instances;
    fixture.scaleSet.evict(evicted?.instanceId ?? '');
    fixture.pass();
    const after = await fixture.fleet.look();
    expect(vmIdsOf(after.instances)).toEqual(vmIdsOf(left));
    expect(poolOf(after, 'spot')).toMatchObject({ capacity: 2, isChanging: false });
    const again = await scaleOutTo(fixture, 3);
    expect(again.instances.map(({ instanceId }) => instanceId)).toContain(evicted?.instanceId);
    expect(vmIdsOf(again.instances)).not.toContain(evicted?.vmId);
  });

  test('an evicted instance that is deallocated is stopped, keeps its capacity and can be removed', async () => {
    await using fixture = await openAzureFixture({ scaleSets: [{ evictionPolicy: 'Deallocate' }] });
    const { instances } = await scaleOutTo(fixture, 2);
    const evicted = instances[0]?.instanceId ?? '';
    fixture.scaleSet.evict(evicted);
    fixture.pass();
    const after = await fixture.fleet.look();
    expect(after.instances.find(({ instanceId }) => instanceId === evicted)).toMatchObject({
      phase: 'stopped',
    });
    expect(poolOf(after, 'spot').capacity).toBe(2);
    expect(await fixture.fleet.remove('spot', [evicted])).toEqual(ACCEPTED);
    const left = await waitForSnapshot(fixture, 'one is left', (snapshot) => snapshot.instances.length === 1);
    expect(poolOf(left, 'spot').capacity).toBe(1);
  });

  test('an eviction after the look makes a raise a conflict until the next look', async () => {
    await using fixture = await openAzureFixture();
    await scaleOutTo(fixture, 2);
    fixture.scaleSet.evict('1');
    expect(await fixture.fleet.scaleOut('spot', 3)).toMatchObject({ kind: 'refused', reason: 'conflict' });
    expect(fixture.scaleSet.capacity).toBe(1);
    expect((await scaleOutTo(fixture, 3)).instances).toHaveLength(3);
  });

  test('the removal of an evicted instance is not an error', async () => {
    await using fixture = await openAzureFixture();
    await scaleOutTo(fixture, 2);
    fixture.scaleSet.evict('0');
    expect(await fixture.fleet.remove('spot', ['0'])).toEqual(ACCEPTED);
    expect((await fixture.fleet.look()).instances).toMatchObject([{ instanceId: '1', phase: 'running' }]);
  });
});

describe('a change in progress', () => {
  test('a raise blocks further raises until it ends', async () => {
    await using fixture = await openAzureFixture();
    await fixture.fleet.look();
    expect(await fixture.fleet.scaleOut('spot', 2)).toEqual(ACCEPTED);
    expect(await fixture.fleet.scaleOut('spot', 4)).toMatchObject({ kind: 'refused', reason: 'conflict' });
    expect(poolOf(await fixture.fleet.look(), 'spot')).toMatchObject({ capacity: 2, isChanging: true });
    expect(await fixture.fleet.scaleOut('spot', 4)).toMatchObject({ kind: 'refused', reason: 'conflict' });
    expect(fixture.arm.writes()).toHaveLength(1);
  });

  test('another process sees a raise and can raise again when it has ended', async () => {
    await using fixture = await openAzureFixture();
    await fixture.fleet.look();
    await fixture.fleet.scaleOut('spot', 2);
    const other = { ...fixture, fleet: fixture.restart() };
    const { fleet } = other;
    expect(poolOf(await fleet.look(), 'spot')).toMatchObject({ capacity: 2, isChanging: true });
    expect(await fleet.scaleOut('spot', 3)).toMatchObject({ kind: 'refused', reason: 'conflict' });
    await waitForSnapshot(other, 'the change has ended', (snapshot) => !poolOf(snapshot, 'spot').isChanging);
    expect(await fleet.scaleOut('spot', 3)).toEqual(ACCEPTED);
  });

  test('another process does not repeat a removal', async () => {
    await using fixture = await openAzureFixture();
    await scaleOutTo(fixture, 3);
    await fixture.fleet.remove('spot', ['0', '1']);
    const other = { ...fixture, fleet: fixture.restart() };
    expect(poolOf(await other.fleet.look(), 'spot').isChanging).toBe(true);
    expect(await other.fleet.remove('spot', ['0', '1'])).toEqual(ACCEPTED);
    expect(await other.fleet.remove('spot', ['2'])).toMatchObject({ kind: 'refused', reason: 'conflict' });
    const left = await waitForSnapshot(other, 'one is left', (snapshot) => snapshot.instances.length === 1);
    expect(poolOf(left, 'spot').capacity).toBe(1);
  });

  test('a removal blocks the next removal until it ends', async () => {
    await using fixture = await openAzureFixture();
    await scaleOutTo(fixture, 3);
    const both = await Promise.all([
      fixture.fleet.remove('spot', ['0']),
      fixture.fleet.remove('spot', ['1']),
    ]);
    expect(both).toMatchObject([ACCEPTED, { kind: 'refused', reason: 'conflict' }]);
    expect(fixture.arm.writes().filter(({ method }) => method === 'POST')).toHaveLength(1);
    await fixture.fleet.look();
    expect(await fixture.fleet.remove('spot', ['1'])).toMatchObject({ kind: 'refused', reason: 'conflict' });
    expect(fixture.arm.writes().filter(({ method }) => method === 'POST')).toHaveLength(1);
    await waitForSnapshot(fixture, 'the first has ended', (snapshot) => !poolOf(snapshot, 'spot').isChanging);
    expect(await fixture.fleet.remove('spot', ['1'])).toEqual(ACCEPTED);
  });

  test('a removal ends as soon as Azure reports it', async () => {
    await using fixture = await openAzureFixture();
    await scaleOutTo(fixture, 2);
    await fixture.fleet.remove('spot', ['0']);
    fixture.clock.advance(fixture.scaleSet.spec.deleteMs - TICK_MS);
    expect(poolOf(await fixture.fleet.look(), 'spot')).toMatchObject({ capacity: 2, isChanging: true });
    fixture.pass();
    expect(poolOf(await fixture.fleet.look(), 'spot')).toMatchObject({ capacity: 1, isChanging: false });
    expect(await fixture.fleet.scaleOut('spot', 2)).toEqual(ACCEPTED);
  });

  test('a raise does not block the removal of instances that never boot', async () => {
    await using fixture = await openAzureFixture();
    fixture.scaleSet.neverBoot = true;
    await fixture.fleet.look();
    await fixture.fleet.scaleOut('spot', 2);
    fixture.clock.advance(15 * 60_000);
    const waiting = await fixture.fleet.look();
    expect(poolOf(waiting, 'spot').isChanging).toBe(true);
    expect(waiting.instances.map(({ phase }) => phase)).toEqual(['creating', 'creating']);
    expect(await fixture.fleet.remove('spot', ['0', '1'])).toEqual(ACCEPTED);
    const after = await waitForSnapshot(
      fixture,
      'they are gone',
      (snapshot) => snapshot.instances.length === 0,
    );
    expect(poolOf(after, 'spot').capacity).toBe(0);
  });

  test('a raise fails after Azure’s boot time-out: its instances are failed, and the refusal is returned once', async () => {
    await using fixture = await openAzureFixture();
    fixture.scaleSet.neverBoot = true;
    await fixture.fleet.look();
    await fixture.fleet.scaleOut('spot', 1);
    fixture.clock.advance(41 * 60_000);
    const after = await fixture.fleet.look();
    expect(after.instances).toMatchObject([{ phase: 'failed' }]);
    expect(poolOf(after, 'spot').refusal).toMatchObject({
      reason: 'unreachable',
      message: expect.stringContaining('OSProvisioningTimedOut') as string,
    });
    expect(poolOf(await fixture.fleet.look(), 'spot').refusal).toBeNull();
    fixture.pass();
    expect(poolOf(await fixture.fleet.look(), 'spot').refusal).toBeNull();
  });

  test('a failure that arrives during a failed look is reported by the next look', async () => {
    await using fixture = await openAzureFixture();
    fixture.scaleSet.stock = 0;
    await fixture.fleet.look();
    await fixture.fleet.scaleOut('spot', 1);
    fixture.clock.advance(60_000);
    fixture.arm.faults.add({ path: /virtualMachines\?/, with: { status: 500 }, times: 1 });
    await expect(fixture.fleet.look()).rejects.toThrow(FleetUnreadable);
    expect(poolOf(await fixture.fleet.look(), 'spot').refusal).toMatchObject({ reason: 'capacity' });
  });

  test.each<{ what: string; effect: ArmFaultEffect; passMs: number }>([
    { what: 'is unknown to Azure', effect: { status: 404, body: {} }, passMs: 0 },
    { what: 'does not answer for minutes', effect: { status: 500 }, passMs: 5 * 60_000 },
  ])('an operation that $what ends when the scale set has settled', async ({ effect, passMs }) => {
    await using fixture = await openAzureFixture();
    await fixture.fleet.look();
    await fixture.fleet.scaleOut('spot', 1);
    fixture.arm.faults.add({ path: /\/operations\//, with: effect });
    expect(poolOf(await fixture.fleet.look(), 'spot').isChanging).toBe(true);
    fixture.clock.advance(100_000 + passMs);
    expect(poolOf(await fixture.fleet.look(), 'spot')).toMatchObject({ capacity: 1, isChanging: false });
  });

  test('an operation that fails to answer once is still in progress', async () => {
    await using fixture = await openAzureFixture();
    await fixture.fleet.look();
    await fixture.fleet.scaleOut('spot', 1);
    fixture.clock.advance(100_000);
    fixture.arm.faults.add({ path: /\/operations\//, with: { status: 503 }, times: 1 });
    expect(poolOf(await fixture.fleet.look(), 'spot').isChanging).toBe(true);
    fixture.pass();
    expect(poolOf(await fixture.fleet.look(), 'spot').isChanging).toBe(false);
  });
});
