/** Scalers with one mistake each, all of them known from other autoscalers. The simulation must detect every one. */
import { decide } from '../../scaler/decide/decide.ts';
import type { Action } from '../../scaler/decide/decision.ts';
import type { Observation } from '../../scaler/observe/observation.ts';
import { POLICY_DEFAULTS } from '../../scaler/policy.ts';
import type { Decide } from '../simulation/simulator/episode.ts';
import type { Violation } from '../simulation/simulator/invariants.ts';

export interface BadDecide {
  readonly decide: Decide;
  readonly violates: Violation['kind'];
}

/** Also removes the chosen instances, from pools that the decision does not change otherwise. */
function removing(isChosen: (vmId: string, seen: Observation) => boolean): Decide {
  return (seen, policy, memory) => {
    const decided = decide(seen, policy, memory);
    const own = decided.decision.actions;
    const taken = new Set(own.flatMap((action) => (action.kind === 'drain' ? [] : [action.pool])));
    const removals: Action[] = (seen.fleet?.pools ?? []).flatMap(({ name, isChanging }) => {
      const going = (seen.fleet?.instances ?? []).filter(
        ({ pool, vmId, phase }) =>
          pool === name && vmId !== null && phase !== 'deleting' && isChosen(vmId, seen),
      );
      if (isChanging || taken.has(name) || going.length === 0) return [];
      const instanceIds = going.map(({ instanceId }) => instanceId);
      const vmIds = going.map(({ vmId }) => vmId);
      return [{ kind: 'remove', pool: name, instanceIds, vmIds, why: 'idle', basis: 'drained' }];
    });
    return { ...decided, decision: { ...decided.decision, actions: [...own, ...removals] } };
  };
}

const lastState = ({ workers }: Observation, vmId: string): string | undefined =>
  workers?.get(vmId)?.[0]?.beat.state;
const heartbeatAgeMs = ({ workers, now }: Observation, vmId: string): number | undefined => {
  const writtenAt = workers?.get(vmId)?.[0]?.writtenAt;
  return writtenAt === undefined ? undefined : now.getTime() - writtenAt.getTime();
};
export const decideBadly: Readonly<Record<string, BadDecide>> = {
  'removes idle instances without asking them to drain': {
    decide: removing((vmId, seen) => lastState(seen, vmId) === 'idle'),
    violates: 'busy-removed',
  },
  'removes instances that are silent for a minute': {
    decide: removing((vmId, seen) => (heartbeatAgeMs(seen, vmId) ?? 0) > 60_000),
    violates: 'busy-removed',
  },
  'treats a queue that it cannot read as empty': {
    decide: removing((_, { messagesApprox }) => (messagesApprox ?? 0) === 0),
    violates: 'busy-removed',
  },
  'treats a drain request as its answer': {
    decide: removing((vmId, seen) => seen.drainRequests?.has(vmId) === true),
    violates: 'busy-removed',
  },
  'treats a draining instance as drained': {
    decide: removing((vmId, seen) => lastState(seen, vmId) === 'draining'),
    violates: 'busy-removed',
  },
  'removes instances that the cloud reports as failed': {
    decide: removing(
      (vmId, { fleet }) => fleet?.instances.find((one) => one.vmId === vmId)?.phase === 'failed',
    ),
    violates: 'busy-removed',
  },
  'ignores the maximum capacity': {
    decide: (seen, policy, memory) => decide(seen, { ...policy, capacityMax: 5_000 }, memory),
    violates: 'above-maximum',
  },
  'ignores the spending limit': {
    decide: (seen, policy, memory) => decide(seen, { ...policy, spendingPerHourMax: null }, memory),
    violates: 'above-spending',
  },
  'changes a pool again at once': {
    decide: (seen, policy, memory) => {
      const decided = decide(seen, { ...policy, writeEveryMs: 0 }, { ...memory, blocked: {} });
      return { ...decided, memory: { ...decided.memory, blocked: {} } };
    },
    violates: 'too-many-writes',
  },
  'keeps one instance without work': {
    decide: (seen, policy, memory) => decide(seen, { ...policy, capacityMin: 1 }, memory),
    violates: 'never-zero',
  },
  'never sees any work': {
    decide: (seen, policy, memory) =>
      decide({ ...seen, backlog: [], messagesApprox: 0 }, { ...POLICY_DEFAULTS, ...policy }, memory),
    violates: 'never-done',
  },
};
