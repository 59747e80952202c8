/** What limits the fleet or needs an operator's attention. PURE. */
import { describeOverride } from '../override/document.ts';
import { blockOf, isBlockActive } from './blocked-pools.ts';
import type { Blocker } from './decision.ts';
import { areBootsFailing, bootRetryAtMs } from './memory.ts';
import type { ScaleOutPlan } from './scale-out.ts';
import type { Situation } from './situation.ts';

/** A worker finishes its batch first, which takes half a minute, or a few. After this time something is wrong with it. */
const DRAIN_ANSWER_MS = 900_000;

export function blockersOf(situation: Situation, scaleOut: ScaleOutPlan): readonly Blocker[] {
  const { observation, policy, memory, demand, bounds, fleet } = situation;
  const { atMs, now } = observation;
  const instant = (ms: number): Date => new Date(now.getTime() + (ms - atMs));
  const blockers: Blocker[] = [];
  const add = (kind: Blocker['kind'], detail: string, rest: Partial<Blocker> = {}): void => {
    blockers.push({ kind, detail, pool: null, until: null, ...rest });
  };

  for (const { pool } of fleet.pools) {
    const block = blockOf(memory, pool.name);
    if (block === null || !isBlockActive(block, atMs)) continue;
    const times = block.refusals === 1 ? 'once' : `${block.refusals} times`;
    const detail = `${block.reason}, refused ${times}: ${block.message}`;
    add('pool-blocked', detail, { pool: pool.name, until: instant(block.untilMs) });
  }
  if (scaleOut.isDeadlineAtRisk) {
    add('deadline-at-risk', 'a job may miss its deadline: on-demand pools grow first');
  }
  if (scaleOut.isSpotEvicting) add('spot-evicting', 'spot instances are evicted as fast as they start');
  if (areBootsFailing(memory.boots, policy)) {
    const detail = `${memory.boots.failures} instances in a row never came up`;
    add('boots-fail', detail, { until: instant(bootRetryAtMs(memory.boots, policy)) });
  }
  if (scaleOut.limitedBy === 'capacity' || demand.wanted > policy.capacityMax) {
    add('capacity-max', `the work needs ${demand.wanted} instances, the maximum is ${policy.capacityMax}`);
  }
  if (scaleOut.limitedBy === 'spending') {
    add(
      'spending-max',
      `the fleet costs ${fleet.spendingPerHour} an hour, the limit is ${policy.spendingPerHourMax}`,
    );
  }
  const { override } = bounds;
  const isFloorOverridden = bounds.floorBy === 'override' && bounds.floor > demand.wanted;
  if (override !== null && (bounds.ceiling < demand.wanted || isFloorOverridden)) {
    const detail = `${describeOverride(override)}, by ${override.author}: ${override.reason}`;
    add('override', detail, { until: new Date(override.expiresAtMs) });
  }
  if (fleet.isFleetSilent) {
    const seconds = Math.round(fleet.fleetSilentMs / 1000);
    add('fleet-silent', `no heartbeat for ${seconds} s: check whether the workers can reach storage`);
  }
  const unanswered = Object.values(memory.drains).filter(
    ({ requestSeenAtMs }) => requestSeenAtMs !== null && atMs - requestSeenAtMs > DRAIN_ANSWER_MS,
  ).length;
  if (unanswered > 0) {
    const minutes = DRAIN_ANSWER_MS / 60_000;
    add('drain-unanswered', `${instancesText(unanswered, 'has', 'have')} not drained within ${minutes} min`);
  }
  const tooOld = fleet.alive.filter(({ isTooOld }) => isTooOld).length;
  if (tooOld > 0)
    add('workers-too-old', `${instancesText(tooOld, 'skips', 'skip')} messages that need a newer release`);
  if (demand.jobsAtCap > 0) {
    const are =
      demand.jobsAtCap === 1 ? 'job has spent its cap and is' : 'jobs have spent their caps and are';
    add(
      'jobs-at-their-cap',
      `${demand.jobsAtCap} ${are} held (${demand.jobIdsCapped.join(', ')}): raise a cap with npm run cap -- JOB AMOUNT`,
    );
  }
  return blockers;
}

function instancesText(count: number, singular: string, plural: string): string {
  return count === 1 ? `1 instance ${singular}` : `${count} instances ${plural}`;
}
