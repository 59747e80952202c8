/** Looks at the scale sets of a fleet that has been made: whether they are there, and whether whoever asks may see into them. */
import type { Finding } from '../../../shared/contract/finding.ts';
import { right } from '../finding.ts';
import type { Look } from '../look.ts';
import type { Arm, ScaleSetReading } from './ask-arm.ts';
import type { Plan } from './judge-pools.ts';
import { type Question, judgeRefusal } from './judge-refusal.ts';

export interface DeployedFleet {
  readonly resourceGroup: string;
  readonly scaleSets: readonly { readonly name: string; readonly kind: 'spot' | 'on-demand' }[];
  readonly machines: number;
}

const asked = (what: string): Question => ({ what, needs: 'Reader on the resource group', isAll: false });

export class ScaleSets {
  readonly #arm: Arm;
  readonly #fleet: DeployedFleet;
  #reading: Promise<{ findings: Finding[]; plan: Plan | null }> | undefined;

  constructor(arm: Arm, fleet: DeployedFleet) {
    this.#arm = arm;
    this.#fleet = fleet;
  }

  look(): Look {
    return { topic: 'machines', find: async (signal) => (await this.#read(signal)).findings };
  }

  /** What they are of; null where none could be seen. */
  async plan(): Promise<Plan | null> {
    return (await this.#read(new AbortController().signal)).plan;
  }

  #read(signal: AbortSignal): Promise<{ findings: Finding[]; plan: Plan | null }> {
    this.#reading ??= this.#readAll(signal);
    return this.#reading;
  }

  async #readAll(signal: AbortSignal): Promise<{ findings: Finding[]; plan: Plan | null }> {
    const { resourceGroup, scaleSets, machines } = this.#fleet;
    const all = await Promise.all(
      scaleSets.map(async ({ name, kind }) => {
        const what = `read the scale set ${name} in ${resourceGroup}`;
        const scaleSet = await this.#arm.scaleSet(resourceGroup, name, signal);
        if ('refusal' in scaleSet)
          return { kind, finding: judgeRefusal('machines', asked(what), scaleSet.refusal) };
        const listed = await this.#arm.machines(resourceGroup, name, signal);
        if ('refusal' in listed) {
          const listing = `list the machines of ${name} in ${resourceGroup}`;
          return {
            kind,
            finding: judgeRefusal('machines', asked(listing), listed.refusal),
          };
        }
        const says = `${name}: ${listed.reading} of ${scaleSet.reading.size}, ${kind === 'spot' ? 'spot' : 'on demand'}`;
        return {
          kind,
          finding: right('machines', says),
          scaleSet: scaleSet.reading,
          running: listed.reading,
        };
      }),
    );
    const seen = all.flatMap(({ kind, scaleSet, running = 0 }) =>
      scaleSet === undefined ? [] : [{ kind, scaleSet, running }],
    );
    return { findings: all.map(({ finding }) => finding), plan: planOf(seen, machines) };
  }
}

function planOf(
  seen: readonly { kind: 'spot' | 'on-demand'; scaleSet: ScaleSetReading; running: number }[],
  machines: number,
): Plan | null {
  const location = seen[0]?.scaleSet.location;
  if (location === undefined) return null;
  return {
    location,
    pools: seen.map(({ kind, scaleSet: { size, zones }, running }) => ({ kind, size, zones, running })),
    machines,
  };
}
