/** The contract suite of `Fleet`. `test/integration/scaler/fleet-*.test.ts` run it for each implementation. */
import { describe, expect, test } from 'vitest';

import type { Fleet, FleetSnapshot, Instance, Pool } from '../../scaler/fleet/fleet.ts';
import { eventually } from '../support/eventually.ts';

export interface FleetFixture extends AsyncDisposable {
  /** Has one empty pool. */
  readonly fleet: Fleet;
  readonly pool: string;
  /** Advances the clock, if the test controls it. */
  pass(): void;
}

/** Looks until the condition holds, and returns that snapshot. */
export function waitForSnapshot(
  { fleet, pass }: Pick<FleetFixture, 'fleet' | 'pass'>,
  what: string,
  condition: (snapshot: FleetSnapshot) => boolean,
): Promise<FleetSnapshot> {
  return eventually(what, async () => {
    const snapshot = await fleet.look();
    if (condition(snapshot)) return snapshot;
    pass();
    return undefined;
  });
}

export const poolOf = ({ pools }: FleetSnapshot, name: string): Pool => {
  const pool = pools.find((one) => one.name === name);
  if (pool === undefined) throw new Error(`the snapshot has no pool ${name}`);
  return pool;
};

export const vmIdsOf = (instances: readonly Instance[]): string[] =>
  instances.flatMap(({ vmId }) => vmId ?? []).toSorted();

const isQuiet = ({ pools, instances }: FleetSnapshot): boolean =>
  pools.every(({ isChanging }) => !isChanging) && instances.every(({ phase }) => phase === 'running');

/** Scales out to a total and waits until all instances run and no change is in progress. */
export async function scaleOutTo(fixture: FleetFixture, total: number): Promise<FleetSnapshot> {
  await waitForSnapshot(fixture, 'no change is in progress', isQuiet);
  expect(await fixture.fleet.scaleOut(fixture.pool, total)).toEqual({ kind: 'accepted' });
  return waitForSnapshot(
    fixture,
    `${total} instances run`,
    (snapshot) => isQuiet(snapshot) && snapshot.instances.length === total,
  );
}

export function fleetContract(name: string, open: () => Promise<FleetFixture>): void {
  describe(`${name} as a fleet`, () => {
    test('an empty fleet is a pool without instances', async () => {
      await using fixture = await open();
      const { pools, instances } = await fixture.fleet.look();
      expect(pools).toMatchObject([{ name: fixture.pool, capacity: 0, isChanging: false, refusal: null }]);
      expect(instances).toEqual([]);
    });

    test('scaleOut() starts several instances in one call, which are creating and then running', async () => {
      await using fixture = await open();
      await fixture.fleet.look();
      expect(await fixture.fleet.scaleOut(fixture.pool, 3)).toEqual({ kind: 'accepted' });
      const creating = await fixture.fleet.look();
      expect(poolOf(creating, fixture.pool).capacity).toBe(3);
      expect(creating.instances.map(({ phase }) => phase)).toEqual(['creating', 'creating', 'creating']);
      const { instances } = await waitForSnapshot(fixture, 'three run', isQuiet);
      expect(new Set(vmIdsOf(instances)).size).toBe(3);
      expect(instances.every(({ pool }) => pool === fixture.pool)).toBe(true);
      expect(instances.map(({ createdAt }) => createdAt)).toEqual(
        creating.instances.map((one) => one.createdAt),
      );
    });

    test('remove() removes exactly the named instances and lowers the capacity by their number', async () => {
      await using fixture = await open();
      const { instances } = await scaleOutTo(fixture, 4);
      const [first, , third] = instances;
      const leaving = [first, third].flatMap((one) => one ?? []);
      const ids = leaving.map(({ instanceId }) => instanceId);
      expect(await fixture.fleet.remove(fixture.pool, ids)).toEqual({ kind: 'accepted' });
      const after = await waitForSnapshot(
        fixture,
        'two are left',
        (snapshot) => isQuiet(snapshot) && snapshot.instances.length === 2,
      );
      expect(vmIdsOf(after.instances)).toEqual(vmIdsOf(instances.filter((one) => !leaving.includes(one))));
      expect(poolOf(after, fixture.pool).capacity).toBe(2);
    });

    test('an instance is deleting until it is gone', async () => {
      await using fixture = await open();
      const { instances } = await scaleOutTo(fixture, 1);
      await fixture.fleet.remove(
        fixture.pool,
        instances.map(({ instanceId }) => instanceId),
      );
      expect((await fixture.fleet.look()).instances).toMatchObject([{ phase: 'deleting' }]);
      const after = await waitForSnapshot(
        fixture,
        'it is gone',
        (snapshot) => snapshot.instances.length === 0,
      );
      expect(poolOf(after, fixture.pool).capacity).toBe(0);
    });

    test('remove() ignores unknown and already removed instances', async () => {
      await using fixture = await open();
      const { instances } = await scaleOutTo(fixture, 2);
      const [leaving, staying] = instances;
      const ids = [leaving?.instanceId ?? '', 'unknown'];
      const twice = [
        await fixture.fleet.remove(fixture.pool, ids),
        await fixture.fleet.remove(fixture.pool, ids),
      ];
      expect(twice).toEqual([{ kind: 'accepted' }, { kind: 'accepted' }]);
      await waitForSnapshot(
        fixture,
        'one is left',
        (snapshot) => isQuiet(snapshot) && snapshot.instances.length === 1,
      );
      expect(await fixture.fleet.remove(fixture.pool, ids)).toEqual({ kind: 'accepted' });
      expect(await fixture.fleet.remove(fixture.pool, [])).toEqual({ kind: 'accepted' });
      const after = await fixture.fleet.look();
      expect(vmIdsOf(after.instances)).toEqual([staying?.vmId]);
      expect(poolOf(after, fixture.pool).capacity).toBe(1);
    });

    test('scaleOut() refuses a total that does not exceed the capacity', async () => {
      await using fixture = await open();
      const before = await scaleOutTo(fixture, 2);
      for (const total of [2, 1, 0]) {
        expect(await fixture.fleet.scaleOut(fixture.pool, total)).toMatchObject({
          kind: 'refused',
          reason: 'conflict',
        });
      }
      fixture.pass();
      const after = await fixture.fleet.look();
      expect(after.instances).toEqual(before.instances);
      expect(poolOf(after, fixture.pool)).toMatchObject({ capacity: 2, isChanging: false, refusal: null });
    });

    test('a vmId is never reused, even if instance ids are', async () => {
      await using fixture = await open();
      const vmIds: string[] = [];
      for (let round = 0; round < 3; round += 1) {
        const { instances } = await scaleOutTo(fixture, 2);
        vmIds.push(...vmIdsOf(instances));
        const ids = instances.map(({ instanceId }) => instanceId);
        await fixture.fleet.remove(fixture.pool, ids);
        await waitForSnapshot(
          fixture,
          'none is left',
          (snapshot) => isQuiet(snapshot) && snapshot.instances.length === 0,
        );
        fixture.pass();
      }
      expect(new Set(vmIds).size).toBe(6);
    });

    test('an aborted look throws the reason, and the next look succeeds', async () => {
      await using fixture = await open();
      const reason = new Error('no time left');
      await expect(fixture.fleet.look(AbortSignal.abort(reason))).rejects.toBe(reason);
      expect((await fixture.fleet.look()).instances).toEqual([]);
    });

    test('an unknown pool throws', async () => {
      await using fixture = await open();
      await expect(fixture.fleet.scaleOut('nowhere', 1)).rejects.toThrow(/no pool named nowhere/);
      await expect(fixture.fleet.remove('nowhere', ['1'])).rejects.toThrow(/no pool named nowhere/);
    });
  });
}
