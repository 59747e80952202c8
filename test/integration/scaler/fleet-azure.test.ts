/** Scale sets through the real SDK, against a fake Azure Resource Manager that speaks the real protocol. */
import { describe, expect, test } from 'vitest';

import { FleetUnreadable } from '../../../scaler/fleet/fleet.ts';
import { fleetContract, grown, poolOf, seen, vmIdsOf } from '../../contract/fleet-contract.ts';
import { forbidden, throttled } from '../../support/fake-arm/answers.ts';
import { TICK_MS, openAzureBench } from '../../support/fake-arm/azure-bench.ts';
import { type Trouble } from '../../support/fake-arm/faults.ts';

fleetContract('scale sets on Azure', () => openAzureBench());

const ACCEPTED = { kind: 'accepted' };

describe('reading', () => {
  test('the pools come in the order in which they are to be filled', async () => {
    const scaleSets = [{ name: 'spot' }, { name: 'steady', kind: 'on-demand' as const }];
    await using bench = await openAzureBench({ scaleSets });
    expect((await bench.fleet.look()).pools).toMatchObject([
      { name: 'spot', kind: 'spot' },
      { name: 'steady', kind: 'on-demand' },
    ]);
  });

  test('a fleet of many pages is read to the last', async () => {
    await using bench = await openAzureBench();
    bench.arm.region.pageSize = 3;
    expect((await grown(bench, 10)).instances).toHaveLength(10);
  });

  test.each<{ what: string; path: RegExp; trouble: Trouble; reason: string }>([
    { what: 'the scale set fails', path: /\/spot\?/, trouble: { status: 500 }, reason: 'unreachable' },
    { what: 'the scale set is forbidden', path: /\/spot\?/, trouble: forbidden, reason: 'forbidden' },
    { what: 'the machines fail', path: /virtualMachines\?/, trouble: { status: 503 }, reason: 'unreachable' },
    { what: 'the second page fails', path: /skiptoken/, trouble: { status: 500 }, reason: 'unreachable' },
    { what: 'the second page is nonsense', path: /skiptoken/, trouble: 'babble', reason: 'unreachable' },
    { what: 'the connection breaks', path: /\/spot\?/, trouble: 'reset', reason: 'unreachable' },
    { what: 'the answer is nonsense', path: /\/spot\?/, trouble: 'babble', reason: 'unreachable' },
    {
      what: 'the capacity is missing',
      path: /\/spot\?/,
      trouble: {
        status: 200,
        body: { sku: { name: 'Standard_NC4as_T4_v3' }, properties: { provisioningState: 'Succeeded' } },
      },
      reason: 'unreachable',
    },
    {
      what: 'a machine has no id',
      path: /virtualMachines\?/,
      trouble: { status: 200, body: { value: [{ properties: { provisioningState: 'Succeeded' } }] } },
      reason: 'unreachable',
    },
    {
      what: 'the second of two pools fails',
      path: /\/steady\?/,
      trouble: { status: 500 },
      reason: 'unreachable',
    },
  ])('a look throws where $what, and the next is well', async ({ path, trouble, reason }) => {
    const scaleSets = [{ name: 'spot' }, { name: 'steady', kind: 'on-demand' as const }];
    await using bench = await openAzureBench({ scaleSets });
    bench.arm.region.pageSize = 2;
    await grown(bench, 3);
    bench.pass();
    bench.arm.faults.add({ path, with: trouble, times: 1 });
    const error: unknown = await bench.fleet.look().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(FleetUnreadable);
    expect(error).toMatchObject({ refusal: { reason } });
    expect((await bench.fleet.look()).instances).toHaveLength(3);
  });

  test('a look at a server that never answers ends within its time-out', async () => {
    await using bench = await openAzureBench({ callTimeoutMs: 200 });
    bench.arm.faults.add({ path: /virtualMachines\?/, with: 'hang' });
    await expect(bench.fleet.look()).rejects.toThrow(/did not answer within 200 ms/);
  });

  test('a look that is throttled leaves Azure alone for as long as it asks, five minutes at most', async () => {
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

  test('a view holds for some seconds, or until something is asked of the fleet', async () => {
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

  test('two scalers that look every second are not throttled in half an hour of something under way', async () => {
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
  test('a machine that is evicted and deleted is gone, and the capacity with it', async () => {
    await using bench = await openAzureBench({ scaleSets: [{ evictionPolicy: 'Delete' }] });
    const { instances } = await grown(bench, 3);
    const [evicted, ...left] = instances;
    bench.scaleSet.evict(evicted?.instanceId ?? '');
    bench.pass();
    const after = await bench.fleet.look();
    expect(vmIdsOf(after.instances)).toEqual(vmIdsOf(left));
    expect(poolOf(after, 'spot')).toMatchObject({ capacity: 2, isChanging: false });
    const again = await grown(bench, 3);
    expect(again.instances.map(({ instanceId }) => instanceId)).toContain(evicted?.instanceId);
    expect(vmIdsOf(again.instances)).not.toContain(evicted?.vmId);
  });

  test('a machine that is evicted and deallocated is stopped, keeps its capacity, and can be removed', async () => {
    await using bench = await openAzureBench({ scaleSets: [{ evictionPolicy: 'Deallocate' }] });
    const { instances } = await grown(bench, 2);
    const evicted = instances[0]?.instanceId ?? '';
    bench.scaleSet.evict(evicted);
    bench.pass();
    const after = await bench.fleet.look();
    expect(after.instances.find(({ instanceId }) => instanceId === evicted)).toMatchObject({
      phase: 'stopped',
    });
    expect(poolOf(after, 'spot').capacity).toBe(2);
    expect(await bench.fleet.remove('spot', [evicted])).toEqual(ACCEPTED);
    const left = await seen(bench, 'one is left', (view) => view.instances.length === 1);
    expect(poolOf(left, 'spot').capacity).toBe(1);
  });

  test('an eviction after the look makes a raise a conflict; the next look allows it', async () => {
    await using bench = await openAzureBench();
    await grown(bench, 2);
    bench.scaleSet.evict('1');
    expect(await bench.fleet.scaleOut('spot', 3)).toMatchObject({ kind: 'refused', reason: 'conflict' });
    expect(bench.scaleSet.capacity).toBe(1);
    expect((await grown(bench, 3)).instances).toHaveLength(3);
  });

  test('a machine that was evicted before its removal is no error', async () => {
    await using bench = await openAzureBench();
    await grown(bench, 2);
    bench.scaleSet.evict('0');
    expect(await bench.fleet.remove('spot', ['0'])).toEqual(ACCEPTED);
    expect((await bench.fleet.look()).instances).toMatchObject([{ instanceId: '1', phase: 'running' }]);
  });
});

describe('a change under way', () => {
  test('holds further raises until it is over, however often a look comes by', async () => {
    await using bench = await openAzureBench();
    await bench.fleet.look();
    expect(await bench.fleet.scaleOut('spot', 2)).toEqual(ACCEPTED);
    expect(await bench.fleet.scaleOut('spot', 4)).toMatchObject({ kind: 'refused', reason: 'conflict' });
    expect(poolOf(await bench.fleet.look(), 'spot')).toMatchObject({ capacity: 2, isChanging: true });
    expect(await bench.fleet.scaleOut('spot', 4)).toMatchObject({ kind: 'refused', reason: 'conflict' });
    expect(bench.arm.writes()).toHaveLength(1);
  });

  test('is seen by another process that knows nothing of it, and ended by it', async () => {
    await using bench = await openAzureBench();
    await bench.fleet.look();
    await bench.fleet.scaleOut('spot', 2);
    const other = { ...bench, fleet: bench.restart() };
    const { fleet } = other;
    expect(poolOf(await fleet.look(), 'spot')).toMatchObject({ capacity: 2, isChanging: true });
    expect(await fleet.scaleOut('spot', 3)).toMatchObject({ kind: 'refused', reason: 'conflict' });
    await seen(other, 'it is over', (view) => !poolOf(view, 'spot').isChanging);
    expect(await fleet.scaleOut('spot', 3)).toEqual(ACCEPTED);
  });

  test('a removal that another process has begun is not begun again by this one', async () => {
    await using bench = await openAzureBench();
    await grown(bench, 3);
    await bench.fleet.remove('spot', ['0', '1']);
    const other = { ...bench, fleet: bench.restart() };
    expect(poolOf(await other.fleet.look(), 'spot').isChanging).toBe(true);
    expect(await other.fleet.remove('spot', ['0', '1'])).toEqual(ACCEPTED);
    expect(await other.fleet.remove('spot', ['2'])).toMatchObject({ kind: 'refused', reason: 'conflict' });
    const left = await seen(other, 'one is left', (view) => view.instances.length === 1);
    expect(poolOf(left, 'spot').capacity).toBe(1);
  });

  test('one removal at a time: the next waits for its turn', async () => {
    await using bench = await openAzureBench();
    await grown(bench, 3);
    const both = await Promise.all([bench.fleet.remove('spot', ['0']), bench.fleet.remove('spot', ['1'])]);
    expect(both).toMatchObject([ACCEPTED, { kind: 'refused', reason: 'conflict' }]);
    expect(bench.arm.writes().filter(({ method }) => method === 'POST')).toHaveLength(1);
    await bench.fleet.look();
    expect(await bench.fleet.remove('spot', ['1'])).toMatchObject({ kind: 'refused', reason: 'conflict' });
    expect(bench.arm.writes().filter(({ method }) => method === 'POST')).toHaveLength(1);
    await seen(bench, 'the first is over', (view) => !poolOf(view, 'spot').isChanging);
    expect(await bench.fleet.remove('spot', ['1'])).toEqual(ACCEPTED);
  });

  test('a removal is over as soon as Azure says so', async () => {
    await using bench = await openAzureBench();
    await grown(bench, 2);
    await bench.fleet.remove('spot', ['0']);
    bench.clock.advance(bench.scaleSet.spec.deleteMs - TICK_MS);
    expect(poolOf(await bench.fleet.look(), 'spot')).toMatchObject({ capacity: 2, isChanging: true });
    bench.pass();
    expect(poolOf(await bench.fleet.look(), 'spot')).toMatchObject({ capacity: 1, isChanging: false });
    expect(await bench.fleet.scaleOut('spot', 2)).toEqual(ACCEPTED);
  });

  test('machines that never boot can be removed while it still waits for them', async () => {
    await using bench = await openAzureBench();
    bench.scaleSet.neverBoot = true;
    await bench.fleet.look();
    await bench.fleet.scaleOut('spot', 2);
    bench.clock.advance(15 * 60_000);
    const waiting = await bench.fleet.look();
    expect(poolOf(waiting, 'spot').isChanging).toBe(true);
    expect(waiting.instances.map(({ phase }) => phase)).toEqual(['creating', 'creating']);
    expect(await bench.fleet.remove('spot', ['0', '1'])).toEqual(ACCEPTED);
    const after = await seen(bench, 'they have gone', (view) => view.instances.length === 0);
    expect(poolOf(after, 'spot').capacity).toBe(0);
  });

  test('machines that never boot have failed when Azure has waited long enough, and it says so once', async () => {
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

  test('its failure is not lost where the look that heard of it could not be finished', async () => {
    await using bench = await openAzureBench();
    bench.scaleSet.stock = 0;
    await bench.fleet.look();
    await bench.fleet.scaleOut('spot', 1);
    bench.clock.advance(60_000);
    bench.arm.faults.add({ path: /virtualMachines\?/, with: { status: 500 }, times: 1 });
    await expect(bench.fleet.look()).rejects.toThrow(FleetUnreadable);
    expect(poolOf(await bench.fleet.look(), 'spot').refusal).toMatchObject({ reason: 'capacity' });
  });

  test.each<{ what: string; trouble: Trouble; passMs: number }>([
    { what: 'is not known any more', trouble: { status: 404, body: {} }, passMs: 0 },
    { what: 'never answers for minutes', trouble: { status: 500 }, passMs: 5 * 60_000 },
  ])('an operation that $what ends with what the scale set says', async ({ trouble, passMs }) => {
    await using bench = await openAzureBench();
    await bench.fleet.look();
    await bench.fleet.scaleOut('spot', 1);
    bench.arm.faults.add({ path: /\/operations\//, with: trouble });
    expect(poolOf(await bench.fleet.look(), 'spot').isChanging).toBe(true);
    bench.clock.advance(100_000 + passMs);
    expect(poolOf(await bench.fleet.look(), 'spot')).toMatchObject({ capacity: 1, isChanging: false });
  });

  test('an operation that does not answer for a moment is still under way', async () => {
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
