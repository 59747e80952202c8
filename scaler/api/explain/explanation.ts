/** The answer of `GET /explain`: the last decision, or the decision for a supposed situation. PURE. */
import { decide } from '../../decide/decide.ts';
import { sentenceOf } from '../../decide/decision.ts';
import { overrideJson } from '../../override/document.ts';
import type { Policy } from '../../policy.ts';
import type { Tick } from '../../tick.ts';
import { type WhatIf, applyWhatIf, isWhatIf } from './what-if.ts';
import { explainInWords } from './words.ts';

export function explanationOf(tick: Tick, policy: Policy, query: WhatIf) {
  const isSupposed = isWhatIf(query);
  const supposed = applyWhatIf(query, tick.observation, policy);
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
    override: overrideJson(override),
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
