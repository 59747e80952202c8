/** The answer of `GET /explain`: the last decision, or what would be decided if things were otherwise. PURE. */
import { decide } from '../../decide/decide.ts';
import { sentenceOf } from '../../decide/decision.ts';
import { shown } from '../../override/document.ts';
import type { Policy } from '../../policy.ts';
import type { Tick } from '../../tick.ts';
import { type WhatIf, isWhatIf, supposing } from './what-if.ts';
import { explainInWords } from './words.ts';

export function explanationOf(tick: Tick, policy: Policy, query: WhatIf) {
  const isSupposed = isWhatIf(query);
  const supposed = supposing(query, { observation: tick.observation, policy });
  const { decision } = isSupposed ? decide(supposed.observation, supposed.policy, tick.memory) : tick;
  const { now, fleet, override } = tick.observation;
  const { reason, capacityDesired, steps, blockers, next, actions, numbers } = decision;
  const instances = fleet?.instances.length ?? null;
  return {
    at: now.toISOString(),
    isLeading: tick.isLeading,
    whatIf: isSupposed ? query : null,
    instances,
    capacityDesired,
    reason,
    steps: steps.map((step) => ({ ...step, sentence: sentenceOf(step) })),
    override: shown(override),
    blockers,
    actions,
    next,
    numbers,
    words: explainInWords({
      decision,
      instances,
      override,
      now,
      isLeading: tick.isLeading,
      isWhatIf: isSupposed,
    }),
  };
}
