/**
 * PURE. Judges whether the quota of a subscription allows the requested VMs. On-demand VMs count against the quota of their
 * family and the quota of the region; all spot VMs share one quota.
 */
import type { Finding } from '../../../shared/contract/finding.ts';
import { errorFinding, okFinding, warningFinding } from '../finding.ts';

export interface UsageReading {
  /** `Standard NCASv3_T4 Family`, `cores`, `lowPriorityCores`. Azure's spelling varies. */
  readonly name: string;
  /** The name in the portal; null if Azure does not return it. */
  readonly title: string | null;
  readonly used: number;
  readonly limit: number;
}

export interface RequestedMachines {
  readonly kind: 'spot' | 'on-demand';
  readonly size: string;
  readonly family: string;
  readonly coresPerMachine: number;
  readonly machines: number;
  /** How many of them run already. Their vCPUs are part of `used`. */
  readonly running: number;
}

const SPOT = 'lowPriorityCores';
const REGION = 'cores';

export function judgeQuota(
  requested: RequestedMachines,
  location: string,
  usages: readonly UsageReading[],
): Finding[] {
  const names = requested.kind === 'spot' ? [SPOT] : [requested.family, REGION];
  return names.map((name) => {
    const usage = usages.find((one) => one.name.toLowerCase() === name.toLowerCase());
    return usage === undefined
      ? warningFinding(
          'quota',
          `Azure reports no quota named ${name} in ${location}`,
          `Check the quota in the portal: Quotas › Compute › ${location}.`,
        )
      : judgeUsage(usage, requested, location);
  });
}

function judgeUsage(
  { name, title, used, limit }: UsageReading,
  { kind, size, coresPerMachine, machines, running }: RequestedMachines,
  location: string,
): Finding {
  const label = `${size} ${kind}`;
  const shownName = title ?? name;
  const more = Math.max(0, Math.floor((limit - used) / coresPerMachine));
  const fits = running + more;
  const needed = used + Math.max(0, machines - running) * coresPerMachine;
  const hint = `Request ${needed} vCPUs in the portal: Quotas › Compute › ${location} › ${shownName}. A request takes minutes to days.`;
  const message = `${shownName}: ${limit} vCPUs in ${location}, ${used} in use`;
  if (limit === 0) return errorFinding('quota', `${message}: no quota for ${label} VMs`, hint);
  if (fits === 0)
    return errorFinding(
      'quota',
      `${message}: not enough for one ${label} VM (${coresPerMachine} vCPUs)`,
      hint,
    );
  if (fits < machines)
    return warningFinding('quota', `${message}: enough for ${fits} of ${machines} ${label} VMs`, hint);
  return okFinding('quota', `${message}: enough for ${fits} ${label} ${fits === 1 ? 'VM' : 'VMs'}`);
}
