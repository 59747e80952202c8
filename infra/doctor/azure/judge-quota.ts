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

export interface RequestedInstances {
  readonly kind: 'spot' | 'on-demand';
  readonly size: string;
  readonly family: string;
  readonly coresPerInstance: number;
  readonly instances: number;
  /** How many of them run already. Their vCPUs are part of `used`. */
  readonly running: number;
}

const SPOT = 'lowPriorityCores';
const REGION = 'cores';

export function judgeQuota(
  requested: RequestedInstances,
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
  { kind, size, coresPerInstance, instances, running }: RequestedInstances,
  location: string,
): Finding {
  const label = `${size} ${kind}`;
  const shownName = title ?? name;
  const more = Math.max(0, Math.floor((limit - used) / coresPerInstance));
  const fits = running + more;
  const needed = used + Math.max(0, instances - running) * coresPerInstance;
  const hint = `Request ${needed} vCPUs in the portal: Quotas › Compute › ${location} › ${shownName}. A request takes minutes to days.`;
  const message = `${shownName}: ${limit} vCPUs in ${location}, ${used} in use`;
  if (limit === 0) return errorFinding('quota', `${message}: no quota for ${label} VMs`, hint);
  if (fits === 0)
    return errorFinding(
      'quota',
      `${message}: not enough for one ${label} VM (${coresPerInstance} vCPUs)`,
      hint,
    );
  if (fits < instances)
    return warningFinding('quota', `${message}: enough for ${fits} of ${instances} ${label} VMs`, hint);
  return okFinding('quota', `${message}: enough for ${fits} ${label} ${fits === 1 ? 'VM' : 'VMs'}`);
}
