/** What every fleet promises, whatever its machines are. Run once for each: see `test/integration/fleet-*.test.ts`. */
import { describe, expect, test } from 'vitest';

import type { Fleet, FleetView, Instance, Pool } from '../../scaler/fleet/fleet.ts';
import { eventually } from '../support/eventually.ts';

export interface FleetBench extends AsyncDisposable {
  /** With one pool, empty. */
  readonly fleet: Fleet;
  readonly pool: string;
  /** Lets time go on, where it is the test's own. */
  pass(): void;
}

/** Looks until it is so, and returns what was seen then. */
export function seen(
  { fleet, pass }: Pick<FleetBench, 'fleet' | 'pass'>,
  what: string,
  isSo: (view: FleetView) => boolean,
): Promise<FleetView> {
  return eventually(what, async () => {
    const view = await fleet.look();
    if (isSo(view)) return view;
    pass();
    return undefined;
  });
}

export const poolOf = ({ pools }: FleetView, name: string): Pool => {
  const pool = pools.find((one) => one.name === name);
  if (pool === undefined) throw new Error(`the view has no pool ${name}`);
  return pool;
};

export const vmIdsOf = (instances: readonly Instance[]): string[] =>
  instances.flatMap(({ vmId }) => vmId ?? []).toSorted();

const isQuiet = ({ pools, instances }: FleetView): boolean =>
  pools.every(({ isChanging }) => !isChanging) && instances.every(({ phase }) => phase === 'running');

/** From what there is to a total, all of them running and nothing under way. */
export async function grown(bench: FleetBench, total: number): Promise<FleetView> {
  await seen(bench, 'nothing is under way', isQuiet);
  expect(await bench.fleet.scaleOut(bench.pool, total)).toEqual({ kind: 'accepted' });
  return seen(bench, `${total} instances run`, (view) => isQuiet(view) && view.instances.length === total);
}

export function fleetContract(name: string, open: () => Promise<FleetBench>): void {
  describe(`the contract of a fleet, kept by ${name}`, () => {
    test('an empty fleet is a pool without instances, not an error', async () => {
      await using bench = await open();
      const { pools, instances } = await bench.fleet.look();
      expect(pools).toMatchObject([{ name: bench.pool, capacity: 0, isChanging: false, refusal: null }]);
      expect(instances).toEqual([]);
    });

    test('it goes from zero to n in one call, and shows them being created, then running', async () => {
      await using bench = await open();
      await bench.fleet.look();
      expect(await bench.fleet.scaleOut(bench.pool, 3)).toEqual({ kind: 'accepted' });
      const asked = await bench.fleet.look();
      expect(poolOf(asked, bench.pool).capacity).toBe(3);
      expect(asked.instances.map(({ phase }) => phase)).toEqual(['creating', 'creating', 'creating']);
      const { instances } = await seen(bench, 'three run', isQuiet);
      expect(new Set(vmIdsOf(instances)).size).toBe(3);
      expect(instances.every(({ pool }) => pool === bench.pool)).toBe(true);
      expect(instances.map(({ createdAt }) => createdAt)).toEqual(
        asked.instances.map((one) => one.createdAt),
      );
    });

    test('a named removal removes exactly those, and the capacity falls by as many', async () => {
      await using bench = await open();
      const { instances } = await grown(bench, 4);
      const [first, , third] = instances;
      const leaving = [first, third].flatMap((one) => one ?? []);
      const ids = leaving.map(({ instanceId }) => instanceId);
      expect(await bench.fleet.remove(bench.pool, ids)).toEqual({ kind: 'accepted' });
      const after = await seen(bench, 'two are left', (view) => isQuiet(view) && view.instances.length === 2);
      expect(vmIdsOf(after.instances)).toEqual(vmIdsOf(instances.filter((one) => !leaving.includes(one))));
      expect(poolOf(after, bench.pool).capacity).toBe(2);
    });

    test('one that is being removed says so until it has gone', async () => {
      await using bench = await open();
      const { instances } = await grown(bench, 1);
      await bench.fleet.remove(
        bench.pool,
        instances.map(({ instanceId }) => instanceId),
      );
      expect((await bench.fleet.look()).instances).toMatchObject([{ phase: 'deleting' }]);
      const after = await seen(bench, 'it has gone', (view) => view.instances.length === 0);
      expect(poolOf(after, bench.pool).capacity).toBe(0);
    });

    test('removing twice, or what nobody knows, is no error and takes nobody else', async () => {
      await using bench = await open();
      const { instances } = await grown(bench, 2);
      const [leaving, staying] = instances;
      const ids = [leaving?.instanceId ?? '', 'nobody'];
      const twice = [await bench.fleet.remove(bench.pool, ids), await bench.fleet.remove(bench.pool, ids)];
      expect(twice).toEqual([{ kind: 'accepted' }, { kind: 'accepted' }]);
      await seen(bench, 'one is left', (view) => isQuiet(view) && view.instances.length === 1);
      expect(await bench.fleet.remove(bench.pool, ids)).toEqual({ kind: 'accepted' });
      expect(await bench.fleet.remove(bench.pool, [])).toEqual({ kind: 'accepted' });
      const after = await bench.fleet.look();
      expect(vmIdsOf(after.instances)).toEqual([staying?.vmId]);
      expect(poolOf(after, bench.pool).capacity).toBe(1);
    });

    test('it is never scaled in by a smaller total, nor by the same: refused, and nothing happens', async () => {
      await using bench = await open();
      const before = await grown(bench, 2);
      for (const total of [2, 1, 0]) {
        expect(await bench.fleet.scaleOut(bench.pool, total)).toMatchObject({
          kind: 'refused',
          reason: 'conflict',
        });
      }
      bench.pass();
      const after = await bench.fleet.look();
      expect(after.instances).toEqual(before.instances);
      expect(poolOf(after, bench.pool)).toMatchObject({ capacity: 2, isChanging: false, refusal: null });
    });

    test('a vmId is never given again, whatever becomes of instance ids', async () => {
      await using bench = await open();
      const ever: string[] = [];
      for (let round = 0; round < 3; round += 1) {
        const { instances } = await grown(bench, 2);
        ever.push(...vmIdsOf(instances));
        const ids = instances.map(({ instanceId }) => instanceId);
        await bench.fleet.remove(bench.pool, ids);
        await seen(bench, 'none is left', (view) => isQuiet(view) && view.instances.length === 0);
        bench.pass();
      }
      expect(new Set(ever).size).toBe(6);
    });

    test('a look that is broken off throws the reason, and the next one is well', async () => {
      await using bench = await open();
      const reason = new Error('no time left');
      await expect(bench.fleet.look(AbortSignal.abort(reason))).rejects.toBe(reason);
      expect((await bench.fleet.look()).instances).toEqual([]);
    });

    test('a pool that there is not is a mistake of the caller', async () => {
      await using bench = await open();
      await expect(bench.fleet.scaleOut('nowhere', 1)).rejects.toThrow(/no pool named nowhere/);
      await expect(bench.fleet.remove('nowhere', ['1'])).rejects.toThrow(/no pool named nowhere/);
    });
  });
}
