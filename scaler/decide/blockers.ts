/** What stands in the way of the fleet, or an operator should know of it. PURE. */
import { blockOf, isOn } from './blocked-pools.ts';
import type { Blocker } from './decision.ts';
import { bootRetryAtMs, isFailing } from './failing-boots.ts';
import type { Memory } from './memory.ts';
import type { Plan } from './plan.ts';

/** A worker finishes its batch first, which takes half a minute and may take a few; then something is wrong with it. */
const DRAIN_ANSWER_MS = 900_000;

export function blockersOf(plan: Plan, memory: Memory): readonly Blocker[] {
  const { observation, policy, demand, bounds, picture, growth } = plan;
  const { atMs, now } = observation;
  const instant = (ms: number): Date => new Date(now.getTime() + (ms - atMs));
  const blockers: Blocker[] = [];
  const say = (kind: Blocker['kind'], detail: string, rest: Partial<Blocker> = {}): void => {
    blockers.push({ kind, detail, pool: null, until: null, ...rest });
  };

  for (const { pool } of picture.pools) {
    const block = blockOf(memory, pool.name);
    if (block === null || !isOn(block, atMs)) continue;
    const detail = `${block.reason}, refused ${block.attempts} times: ${block.message}`;
    say('pool-blocked', detail, { pool: pool.name, until: instant(block.untilMs) });
  }
  if (growth.isDeadlineAtRisk) say('deadline-at-risk', 'a job may miss its deadline: on demand comes first');
  if (growth.isSpotEvicting) say('spot-evicting', 'spot machines are taken as fast as they are given');
  if (isFailing(memory.boots, policy)) {
    const detail = `${memory.boots.failures} instances in a row never came up`;
    say('boots-fail', detail, { until: instant(bootRetryAtMs(memory.boots, policy)) });
  }
  if (growth.heldBy === 'capacity' || demand.wanted > policy.capacityMax) {
    say('capacity-max', `${demand.wanted} are wanted, ${policy.capacityMax} may be`);
  }
  if (growth.heldBy === 'spending') {
    say('spending-max', `${picture.spendingPerHour} an hour of ${policy.spendingPerHourMax} is spent`);
  }
  const { override } = bounds;
  if (override !== null && (bounds.ceiling < demand.wanted || bounds.floor > demand.wanted)) {
    const detail = `${override.mode} ${override.capacity ?? ''}, by ${override.author}: ${override.reason}`;
    say('override', detail, { until: new Date(override.expiresAtMs) });
  }
  if (picture.isFleetSilent) {
    const seconds = Math.round(picture.fleetSilentMs / 1000);
    say(
      'fleet-silent',
      `nobody's heartbeat has been read for ${seconds} s: is storage reachable from the workers?`,
    );
  }
  const unanswered = Object.values(memory.drains).filter(
    ({ standsSinceMs }) => standsSinceMs !== null && atMs - standsSinceMs > DRAIN_ANSWER_MS,
  ).length;
  if (unanswered > 0) say('drain-unanswered', `${unanswered} instances were asked to drain long ago`);
  const tooOld = picture.alive.filter(({ isTooOld }) => isTooOld).length;
  if (tooOld > 0) say('workers-too-old', `${tooOld} instances have left messages for a newer release`);
  if (demand.jobsCapped > 0) {
    const are =
      demand.jobsCapped === 1 ? 'job has spent its cap and is' : 'jobs have spent their caps and are';
    say(
      'jobs-at-their-cap',
      `${demand.jobsCapped} ${are} held (${demand.jobIdsCapped.join(', ')}): raise a cap with npm run cap -- JOB AMOUNT`,
    );
  }
  return blockers;
}
