/** Scalers with one mistake each, every one made by somebody before us. The simulation has to find them out. */
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

/** Removes those of whom it is said, where nothing else is asked of their pool. */
function removing(isGone: (vmId: string, seen: Observation) => boolean): Decide {
  return (seen, policy, memory) => {
    const decided = decide(seen, policy, memory);
    const own = decided.decision.actions;
    const taken = new Set(own.flatMap((action) => (action.kind === 'drain' ? [] : [action.pool])));
    const removals: Action[] = (seen.fleet?.pools ?? []).flatMap(({ name, isChanging }) => {
      const going = (seen.fleet?.instances ?? []).filter(
        ({ pool, vmId, phase }) =>
          pool === name && vmId !== null && phase !== 'deleting' && isGone(vmId, seen),
      );
      if (isChanging || taken.has(name) || going.length === 0) return [];
      const instanceIds = going.map(({ instanceId }) => instanceId);
      const vmIds = going.map(({ vmId }) => vmId);
      return [{ kind: 'remove', pool: name, instanceIds, vmIds, why: 'idle', basis: 'consent' }];
    });
    return { ...decided, decision: { ...decided.decision, actions: [...own, ...removals] } };
  };
}

const lastSaid = ({ workers }: Observation, vmId: string): string | undefined =>
  workers?.get(vmId)?.[0]?.beat.state;
const heardMs = ({ workers, now }: Observation, vmId: string): number | undefined => {
  const writtenAt = workers?.get(vmId)?.[0]?.writtenAt;
  return writtenAt === undefined ? undefined : now.getTime() - writtenAt.getTime();
};
export const decideBadly: Readonly<Record<string, BadDecide>> = {
  'removes who last said idle, without asking': {
    decide: removing((vmId, seen) => lastSaid(seen, vmId) === 'idle'),
    violates: 'busy-removed',
  },
  'removes whoever is silent for a minute': {
    decide: removing((vmId, seen) => (heardMs(seen, vmId) ?? 0) > 60_000),
    violates: 'busy-removed',
  },
  'takes a queue that it cannot read for an empty one': {
    decide: removing((_, { messagesApprox }) => (messagesApprox ?? 0) === 0),
    violates: 'busy-removed',
  },
  'takes a drain request for its answer': {
    decide: removing((vmId, seen) => seen.drainRequests?.has(vmId) === true),
    violates: 'busy-removed',
  },
  'takes one that drains for one that is drained': {
    decide: removing((vmId, seen) => lastSaid(seen, vmId) === 'draining'),
    violates: 'busy-removed',
  },
  'believes the cloud that a machine has failed': {
    decide: removing(
      (vmId, { fleet }) => fleet?.instances.find((one) => one.vmId === vmId)?.phase === 'failed',
    ),
    violates: 'busy-removed',
  },
  'knows no greatest capacity': {
    decide: (seen, policy, memory) => decide(seen, { ...policy, capacityMax: 5_000 }, memory),
    violates: 'above-maximum',
  },
  'does not look at the money': {
    decide: (seen, policy, memory) => decide(seen, { ...policy, spendingPerHourMax: null }, memory),
    violates: 'above-spending',
  },
  'asks again at once': {
    decide: (seen, policy, memory) => {
      const decided = decide(seen, { ...policy, writeEveryMs: 0 }, { ...memory, blocked: {} });
      return { ...decided, memory: { ...decided.memory, blocked: {} } };
    },
    violates: 'too-many-writes',
  },
  'keeps one, to be on the safe side': {
    decide: (seen, policy, memory) => decide(seen, { ...policy, capacityMin: 1 }, memory),
    violates: 'never-zero',
  },
  'sees no work anywhere': {
    decide: (seen, policy, memory) =>
      decide({ ...seen, backlog: [], messagesApprox: 0 }, { ...POLICY_DEFAULTS, ...policy }, memory),
    violates: 'never-done',
  },
};
