/**
 * Checks the scale sets of a deployed fleet: whether they exist, and whether the caller may list their VMs. Reads them once;
 * the size and quota checks use the same readings through `plan()`.
 */
import type { Finding } from '../../../shared/contract/finding.ts';
import type { Check } from '../check.ts';
import { okFinding } from '../finding.ts';
import type { Arm, ScaleSetProperties } from './arm.ts';
import type { FleetPlan } from './judge-pools.ts';
import { type ArmQuery, judgeRefusal } from './judge-refusal.ts';

interface ScaleSetName {
  readonly name: string;
  readonly kind: 'spot' | 'on-demand';
}

export interface DeployedFleet {
  readonly resourceGroup: string;
  readonly scaleSets: readonly ScaleSetName[];
  /** The number of VMs wanted in each scale set. */
  readonly instances: number;
}

interface ReadableScaleSet {
  readonly kind: ScaleSetName['kind'];
  readonly properties: ScaleSetProperties;
  readonly running: number;
}

interface CheckResult {
  readonly findings: Finding[];
  readonly plan: FleetPlan | null;
}

const queryFor = (action: string): ArmQuery => ({
  action,
  role: 'Reader on the resource group',
  isRequired: false,
});

export class ScaleSetCheck {
  readonly #arm: Arm;
  readonly #fleet: DeployedFleet;
  #result: Promise<CheckResult> | undefined;

  constructor(arm: Arm, fleet: DeployedFleet) {
    this.#arm = arm;
    this.#fleet = fleet;
  }

  check(): Check {
    return { topic: 'instances', run: async (signal) => (await this.#readOnce(signal)).findings };
  }

  /** The fleet as deployed; null if no scale set could be read. */
  async plan(): Promise<FleetPlan | null> {
    return (await this.#readOnce(new AbortController().signal)).plan;
  }

  #readOnce(signal: AbortSignal): Promise<CheckResult> {
    this.#result ??= this.#readAll(signal);
    return this.#result;
  }

  async #readAll(signal: AbortSignal): Promise<CheckResult> {
    const { scaleSets, instances } = this.#fleet;
    const all = await Promise.all(scaleSets.map((scaleSet) => this.#read(scaleSet, signal)));
    return {
      findings: all.map(({ finding }) => finding),
      plan: planOf(
        all.flatMap(({ readable }) => readable ?? []),
        instances,
      ),
    };
  }

  async #read(
    { name, kind }: ScaleSetName,
    signal: AbortSignal,
  ): Promise<{ readonly finding: Finding; readonly readable?: ReadableScaleSet }> {
    const { resourceGroup } = this.#fleet;
    const scaleSet = await this.#arm.scaleSet(resourceGroup, name, signal);
    if ('refusal' in scaleSet) {
      const query = queryFor(`read the scale set ${name} in ${resourceGroup}`);
      return { finding: judgeRefusal('instances', query, scaleSet.refusal) };
    }
    const listed = await this.#arm.instances(resourceGroup, name, signal);
    if ('refusal' in listed) {
      const query = queryFor(`list the VMs of ${name} in ${resourceGroup}`);
      return { finding: judgeRefusal('instances', query, listed.refusal) };
    }
    const running = listed.reading;
    const label = `${scaleSet.reading.size} ${kind} ${running === 1 ? 'VM' : 'VMs'}`;
    return {
      finding: okFinding('instances', `${name}: ${running} ${label}`),
      readable: { kind, properties: scaleSet.reading, running },
    };
  }
}

function planOf(readable: readonly ReadableScaleSet[], instances: number): FleetPlan | null {
  const location = readable[0]?.properties.location;
  if (location === undefined) return null;
  return {
    location,
    pools: readable.map(({ kind, properties: { size, zones }, running }) => ({ kind, size, zones, running })),
    instances,
  };
}
