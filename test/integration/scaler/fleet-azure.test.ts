/** Scale sets as a fleet: the real SDK against a fake Azure Resource Manager that implements the real protocol. */
import { describe, expect, test } from 'vitest';

import { FleetUnreadable } from '../../../scaler/fleet/fleet.ts';
import { fleetContract, scaleOutTo, poolOf, waitForView, vmIdsOf } from '../../contract/fleet-contract.ts';
import { forbidden, throttled } from '../../support/fake-arm/answers.ts';
import { TICK_MS, openAzureBench } from '../../support/fake-arm/azure-bench.ts';
import { type ArmFaultEffect } from '../../support/fake-arm/faults.ts';

fleetContract('scale sets on Azure', () => openAzureBench());

const ACCEPTED = { kind: 'accepted' };

describe('reading', () => {
  test('look() returns the pools in the configured order', async () => {
    const scaleSets = [{ name: 'spot' }, { name: 'steady', kind: 'on-demand' as const }];
    await using bench = await openAzureBench({ scaleSets });
    expect((await bench.fleet.look()).pools).toMatchObject([
      { name: 'spot', kind: 'spot' },
      { name: 'steady', kind: 'on-demand' },
    ]);
  });

  test('look() reads all pages of machines', async () => {
    await using bench = await openAzureBench();
    bench.arm.region.pageSize = 3;
    expect((await scaleOutTo(bench, 10)).instances).toHaveLength(10);
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
      what: 'a machine has no id',
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
    await using bench = await openAzureBench({ scaleSets });
    bench.arm.region.pageSize = 2;
    await scaleOutTo(bench, 3);
    bench.pass();
    bench.arm.faults.add({ path, with: effect, times: 1 });
    const error: unknown = await bench.fleet.look().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(FleetUnreadable);
    expect(error).toMatchObject({ refusal: { reason } });
    expect((await bench.fleet.look()).instances).toHaveLength(3);
  });

  test('look() ends within its time-out if the server never answers', async () => {
    await using bench = await openAzureBench({ callTimeoutMs: 200 });
    bench.arm.faults.add({ path: /virtualMachines\?/, with: 'hang' });
    await expect(bench.fleet.look()).rejects.toThrow(/did not answer within 200 ms/);
  });

  test('a throttled look() pauses reads for as long as Azure asks, at most five minutes', async () => {
    await using bench = await openAzureBench();
    bench.arm.faults.add({ path: /virtualMachines\?/, with: throttled('HighCostGet', 1200), times: 1 });
    const throttle = { refusal: { reason: 'throttled', retryAfterMs: 1_200_000 } };
    await expect(bench.fleet.look()).rejects.toMatchObject(throttle);
    const requests = bench.arm.requests.length;
    for (let passedMs = 0; passedMs < 5 * 60_000; passedMs += TICK_MS) {
      await expect(bench.fleet.look()).rejects.toMatchObject(throttle);
      bench.pass();
    }
    expect(bench.arm.requests).toHaveLength(requests);
    expect((await bench.fleet.look()).instances).toEqual([]);
  });

  test('look() reuses a view for some seconds, or until the next change', async () => {
    await using bench = await openAzureBench();
    const { fleet, arm, clock, scaleSet } = bench;
    await fleet.look();
    const requests = arm.requests.length;
    scaleSet.raise(1);
    clock.advance(5_000);
    expect((await fleet.look()).instances).toEqual([]);
    expect(arm.requests).toHaveLength(requests);
    expect(await fleet.scaleOut('spot', 2)).toMatchObject({ kind: 'refused', reason: 'conflict' });
    expect((await fleet.look()).instances).toHaveLength(1);
    bench.pass();
    scaleSet.touch();
    await fleet.look();
    expect(arm.requests.length).toBeGreaterThan(requests + 4);
  });

  test('two scalers that look every second are not throttled during a long change', async () => {
    await using bench = await openAzureBench();
    const { fleet, clock, scaleSet } = bench;
    const other = bench.restart();
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
  test('an evicted machine that is deleted is gone and lowers the capacity', async () => {
    await using bench = await openAzureBench({ scaleSets: [{ evictionPolicy: 'Delete' }] });
    const { instances } = await scaleOutTo(bench, 3);
    const [evicted, ...left] = instances;
    bench.scaleSet.evict(evicted?.instanceId ?? '');
    bench.pass();
    const after = await bench.fleet.look();
    expect(vmIdsOf(after.instances)).toEqual(vmIdsOf(left));
    expect(poolOf(after, 'spot')).toMatchObject({ capacity: 2, isChanging: false });
    const again = await scaleOutTo(bench, 3);
    expect(again.instances.map(({ instanceId }) => instanceId)).toContain(evicted?.instanceId);
    expect(vmIdsOf(again.instances)).not.toContain(evicted?.vmId);
  });

  test('an evicted machine that is deallocated is stopped, keeps its capacity and can be removed', async () => {
    await using bench = await openAzureBench({ scaleSets: [{ evictionPolicy: 'Deallocate' }] });
    const { instances } = await scaleOutTo(bench, 2);
    const evicted = instances[0]?.instanceId ?? '';
    bench.scaleSet.evict(evicted);
    bench.pass();
    const after = await bench.fleet.look();
    expect(after.instances.find(({ instanceId }) => instanceId === evicted)).toMatchObject({
      phase: 'stopped',
    });
    expect(poolOf(after, 'spot').capacity).toBe(2);
    expect(await bench.fleet.remove('spot', [evicted])).toEqual(ACCEPTED);
    const left = await waitForView(bench, 'one is left', (view) => view.instances.length === 1);
    expect(poolOf(left, 'spot').capacity).toBe(1);
  });

  test('an eviction after the look makes a raise a conflict until the next look', async () => {
    await using bench = await openAzureBench();
    await scaleOutTo(bench, 2);
    bench.scaleSet.evict('1');
    expect(await bench.fleet.scaleOut('spot', 3)).toMatchObject({ kind: 'refused', reason: 'conflict' });
    expect(bench.scaleSet.capacity).toBe(1);
    expect((await scaleOutTo(bench, 3)).instances).toHaveLength(3);
  });

  test('the removal of an evicted machine is not an error', async () => {
    await using bench = await openAzureBench();
    await scaleOutTo(bench, 2);
    bench.scaleSet.evict('0');
    expect(await bench.fleet.remove('spot', ['0'])).toEqual(ACCEPTED);
    expect((await bench.fleet.look()).instances).toMatchObject([{ instanceId: '1', phase: 'running' }]);
  });
});

describe('a change in progress', () => {
  test('a raise blocks further raises until it ends', async () => {
    await using bench = await openAzureBench();
    await bench.fleet.look();
    expect(await bench.fleet.scaleOut('spot', 2)).toEqual(ACCEPTED);
    expect(await bench.fleet.scaleOut('spot', 4)).toMatchObject({ kind: 'refused', reason: 'conflict' });
    expect(poolOf(await bench.fleet.look(), 'spot')).toMatchObject({ capacity: 2, isChanging: true });
    expect(await bench.fleet.scaleOut('spot', 4)).toMatchObject({ kind: 'refused', reason: 'conflict' });
    expect(bench.arm.writes()).toHaveLength(1);
  });

  test('another process sees a raise and can raise again when it has ended', async () => {
    await using bench = await openAzureBench();
    await bench.fleet.look();
    await bench.fleet.scaleOut('spot', 2);
    const other = { ...bench, fleet: bench.restart() };
    const { fleet } = other;
    expect(poolOf(await fleet.look(), 'spot')).toMatchObject({ capacity: 2, isChanging: true });
    expect(await fleet.scaleOut('spot', 3)).toMatchObject({ kind: 'refused', reason: 'conflict' });
    await waitForView(other, 'the change has ended', (view) => !poolOf(view, 'spot').isChanging);
    expect(await fleet.scaleOut('spot', 3)).toEqual(ACCEPTED);
  });

  test('another process does not repeat a removal', async () => {
    await using bench = await openAzureBench();
    await scaleOutTo(bench, 3);
    await bench.fleet.remove('spot', ['0', '1']);
    const other = { ...bench, fleet: bench.restart() };
    expect(poolOf(await other.fleet.look(), 'spot').isChanging).toBe(true);
    expect(await other.fleet.remove('spot', ['0', '1'])).toEqual(ACCEPTED);
    expect(await other.fleet.remove('spot', ['2'])).toMatchObject({ kind: 'refused', reason: 'conflict' });
    const left = await waitForView(other, 'one is left', (view) => view.instances.length === 1);
    expect(poolOf(left, 'spot').capacity).toBe(1);
  });

  test('a removal blocks the next removal until it ends', async () => {
    await using bench = await openAzureBench();
    await scaleOutTo(bench, 3);
    const both = await Promise.all([bench.fleet.remove('spot', ['0']), bench.fleet.remove('spot', ['1'])]);
    expect(both).toMatchObject([ACCEPTED, { kind: 'refused', reason: 'conflict' }]);
    expect(bench.arm.writes().filter(({ method }) => method === 'POST')).toHaveLength(1);
    await bench.fleet.look();
    expect(await bench.fleet.remove('spot', ['1'])).toMatchObject({ kind: 'refused', reason: 'conflict' });
    expect(bench.arm.writes().filter(({ method }) => method === 'POST')).toHaveLength(1);
    await waitForView(bench, 'the first has ended', (view) => !poolOf(view, 'spot').isChanging);
    expect(await bench.fleet.remove('spot', ['1'])).toEqual(ACCEPTED);
  });

  test('a removal ends as soon as Azure reports it', async () => {
    await using bench = await openAzureBench();
    await scaleOutTo(bench, 2);
    await bench.fleet.remove('spot', ['0']);
    bench.clock.advance(bench.scaleSet.spec.deleteMs - TICK_MS);
    expect(poolOf(await bench.fleet.look(), 'spot')).toMatchObject({ capacity: 2, isChanging: true });
    bench.pass();
    expect(poolOf(await bench.fleet.look(), 'spot')).toMatchObject({ capacity: 1, isChanging: false });
    expect(await bench.fleet.scaleOut('spot', 2)).toEqual(ACCEPTED);
  });

  test('a raise does not block the removal of machines that never boot', async () => {
    await using bench = await openAzureBench();
    bench.scaleSet.neverBoot = true;
    await bench.fleet.look();
    await bench.fleet.scaleOut('spot', 2);
    bench.clock.advance(15 * 60_000);
    const waiting = await bench.fleet.look();
    expect(poolOf(waiting, 'spot').isChanging).toBe(true);
    expect(waiting.instances.map(({ phase }) => phase)).toEqual(['creating', 'creating']);
    expect(await bench.fleet.remove('spot', ['0', '1'])).toEqual(ACCEPTED);
    const after = await waitForView(bench, 'they are gone', (view) => view.instances.length === 0);
    expect(poolOf(after, 'spot').capacity).toBe(0);
  });

  test('a raise fails after Azure’s boot time-out: its machines are failed, and the refusal is returned once', async () => {
    await using bench = await openAzureBench();
    bench.scaleSet.neverBoot = true;
    await bench.fleet.look();
    await bench.fleet.scaleOut('spot', 1);
    bench.clock.advance(41 * 60_000);
    const after = await bench.fleet.look();
    expect(after.instances).toMatchObject([{ phase: 'failed' }]);
    expect(poolOf(after, 'spot').refusal).toMatchObject({
      reason: 'unreachable',
      message: expect.stringContaining('OSProvisioningTimedOut') as string,
    });
    expect(poolOf(await bench.fleet.look(), 'spot').refusal).toBeNull();
    bench.pass();
    expect(poolOf(await bench.fleet.look(), 'spot').refusal).toBeNull();
  });

  test('a failure that arrives during a failed look is reported by the next look', async () => {
    await using bench = await openAzureBench();
    bench.scaleSet.stock = 0;
    await bench.fleet.look();
    await bench.fleet.scaleOut('spot', 1);
    bench.clock.advance(60_000);
    bench.arm.faults.add({ path: /virtualMachines\?/, with: { status: 500 }, times: 1 });
    await expect(bench.fleet.look()).rejects.toThrow(FleetUnreadable);
    expect(poolOf(await bench.fleet.look(), 'spot').refusal).toMatchObject({ reason: 'capacity' });
  });

  test.each<{ what: string; effect: ArmFaultEffect; passMs: number }>([
    { what: 'is unknown to Azure', effect: { status: 404, body: {} }, passMs: 0 },
    { what: 'does not answer for minutes', effect: { status: 500 }, passMs: 5 * 60_000 },
  ])('an operation that $what ends when the scale set has settled', async ({ effect, passMs }) => {
    await using bench = await openAzureBench();
    await bench.fleet.look();
    await bench.fleet.scaleOut('spot', 1);
    bench.arm.faults.add({ path: /\/operations\//, with: effect });
    expect(poolOf(await bench.fleet.look(), 'spot').isChanging).toBe(true);
    bench.clock.advance(100_000 + passMs);
    expect(poolOf(await bench.fleet.look(), 'spot')).toMatchObject({ capacity: 1, isChanging: false });
  });

  test('an operation that fails to answer once is still in progress', async () => {
    await using bench = await openAzureBench();
    await bench.fleet.look();
    await bench.fleet.scaleOut('spot', 1);
    bench.clock.advance(100_000);
    bench.arm.faults.add({ path: /\/operations\//, with: { status: 503 }, times: 1 });
    expect(poolOf(await bench.fleet.look(), 'spot').isChanging).toBe(true);
    bench.pass();
    expect(poolOf(await bench.fleet.look(), 'spot').isChanging).toBe(false);
  });
});
