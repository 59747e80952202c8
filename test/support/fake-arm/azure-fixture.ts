/** A fleet of scale sets on the real SDK and the fake Azure Resource Manager, with a clock that the test controls. */
import { AzureScaleSets, type ScaleSetPool } from '../../../scaler/fleet/azure-scale-sets.ts';
import type { FleetFixture } from '../../contract/fleet-contract.ts';
import { MovableClock } from '../movable-clock.ts';
import { FakeArm } from './fake-arm.ts';
import type { FakeScaleSet, ScaleSetSpec } from './fake-scale-set.ts';
import { reachFakeArm } from './reach-fake-arm.ts';

/** Between two looks. */
export const TICK_MS = 15_000;

export interface AzureFixture extends FleetFixture {
  readonly arm: FakeArm;
  readonly clock: MovableClock;
  readonly fleet: AzureScaleSets;
  /** The first scale set. */
  readonly scaleSet: FakeScaleSet;
  /** Opens the fleet as another process would, without knowledge of running changes. */
  restart(): AzureScaleSets;
}

export interface AzureFixtureOptions {
  readonly scaleSets?: readonly Partial<ScaleSetSpec>[];
  readonly callTimeoutMs?: number;
}

export async function openAzureFixture({
  scaleSets = [{}],
  callTimeoutMs = 60_000,
}: AzureFixtureOptions = {}): Promise<AzureFixture> {
  const clock = new MovableClock();
  const arm = await new FakeArm({ clock }).start();
  const [scaleSet = arm.region.addScaleSet(), ...others] = scaleSets.map((spec) =>
    arm.region.addScaleSet(spec),
  );
  const pools: ScaleSetPool[] = [scaleSet, ...others].map(({ spec: { name, kind } }) => ({ name, kind }));
  const restart = () => new AzureScaleSets({ pools, compute: reachFakeArm(arm, callTimeoutMs), clock });
  return {
    arm,
    clock,
    fleet: restart(),
    scaleSet,
    pool: scaleSet.spec.name,
    pass: () => clock.advance(TICK_MS),
    restart,
    [Symbol.asyncDispose]: () => arm[Symbol.asyncDispose](),
  };
}
