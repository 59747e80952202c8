/**
 * PURE. Whether a subscription may have the machines that are wanted: on demand a family of sizes has a quota of its own, and all
 * of them together have another; spot has a single one for everything.
 */
import type { Finding } from '../../../shared/contract/finding.ts';
import { right, warning, wrong } from '../finding.ts';

export interface UsageReading {
  /** `Standard NCASv3_T4 Family`, `cores`, `lowPriorityCores`: written in more than one way. */
  readonly name: string;
  /** As the portal shows it; null where Azure does not say. */
  readonly title: string | null;
  readonly used: number;
  readonly limit: number;
}

export interface WantedMachines {
  readonly kind: 'spot' | 'on-demand';
  readonly size: string;
  readonly family: string;
  readonly coresPerMachine: number;
  readonly machines: number;
  /** Of these, running now: their cores are used already. */
  readonly running: number;
}

const SPOT = 'lowPriorityCores';
const REGION = 'cores';

export function judgeQuota({
  location,
  wanted,
  usages,
}: {
  readonly location: string;
  readonly wanted: WantedMachines;
  readonly usages: readonly UsageReading[];
}): Finding[] {
  const names = wanted.kind === 'spot' ? [SPOT] : [wanted.family, REGION];
  return names.map((name) => judgeOne(name, { location, wanted, usages }));
}

function judgeOne(
  name: string,
  {
    location,
    wanted: { kind, size, coresPerMachine, machines, running },
    usages,
  }: { readonly location: string; readonly wanted: WantedMachines; readonly usages: readonly UsageReading[] },
): Finding {
  const what = `${size} ${kind === 'spot' ? 'spot' : 'on demand'}`;
  const usage = usages.find((one) => one.name.toLowerCase() === name.toLowerCase());
  if (usage === undefined)
    return warning(
      'quota',
      `${name}: Azure does not tell of it in ${location}`,
      `See the portal: Quotas › Compute › ${location}.`,
    );
  const { used, limit } = usage;
  const title = usage.title ?? name;
  const more = Math.max(0, Math.floor((limit - used) / coresPerMachine));
  const fits = running + more;
  const needed = used + Math.max(0, machines - running) * coresPerMachine;
  const ask = `Ask for ${needed} in the portal: Quotas › Compute › ${location} › ${title}. It takes minutes to days.`;
  const says = `${title}: ${limit} vCPUs in ${location}, ${used} in use`;
  if (limit === 0) return wrong('quota', `${says}: no ${what} at all`, ask);
  if (fits === 0)
    return wrong('quota', `${says}: no room for one ${what}, which has ${coresPerMachine}`, ask);
  if (fits < machines)
    return warning('quota', `${says}: room for ${fits} ${what}, of ${machines} wanted`, ask);
  return right('quota', `${says}: room for ${fits} ${what}`);
}
