/** Scale sets behind the real SDK and the fake Azure Resource Manager, on a clock that the test moves. */
import { AzureScaleSets, type ScaleSetPool } from '../../../scaler/fleet/azure-scale-sets.ts';
import type { FleetBench } from '../../contract/fleet-contract.ts';
import { MovableClock } from '../movable-clock.ts';
import { FakeArm } from './fake-arm.ts';
import type { FakeScaleSet, ScaleSetSpec } from './fake-scale-set.ts';
import { reachFakeArm } from './reach-fake-arm.ts';

/** Between two looks. */
export const TICK_MS = 15_000;

export interface AzureBench extends FleetBench {
  readonly arm: FakeArm;
  readonly clock: MovableClock;
  readonly fleet: AzureScaleSets;
  /** The first one. */
  readonly scaleSet: FakeScaleSet;
  /** Another process: it knows nothing of what this one has asked for. */
  restart(): AzureScaleSets;
}

export async function openAzureBench({
  scaleSets = [{}],
  callTimeoutMs = 60_000,
}: {
  readonly scaleSets?: readonly Partial<ScaleSetSpec>[];
  readonly callTimeoutMs?: number;
} = {}): Promise<AzureBench> {
  const clock = new MovableClock();
  const arm = await new FakeArm({ clock }).start();
  const [scaleSet = arm.region.addScaleSet(), ...others] = scaleSets.map((spec) =>
    arm.region.addScaleSet(spec),
  );
  const pools: ScaleSetPool[] = [scaleSet, ...others].map(({ spec: { name, kind } }) => ({ name, kind }));
  const restart = () => new AzureScaleSets({ pools, compute: reachFakeArm(arm, { callTimeoutMs }), clock });
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
