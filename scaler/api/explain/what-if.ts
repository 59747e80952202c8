/** The suppositions of `npm run explain -- --what-if …`, applied to a copy of the last observation and policy. PURE. */
import { z } from 'zod';

import { BATCH_FRAMES_MAX, BATCH_TARGET_SECONDS } from '../../../shared/contract/limits.ts';
import { engineRate } from '../../costs/engine-seconds.ts';
import type { JobBacklog, Observation } from '../../observe/observation.ts';
import type { Policy } from '../../policy.ts';

/** 1920 × 1080. */
const MEGAPIXELS_PER_FRAME = 2.07;

const number = (min: number, max: number) => {
  const error = `expected a number from ${min} to ${max}`;
  return z.coerce.number({ error }).min(min, { error }).max(max, { error });
};
const count = (max: number) => number(0, max).int({ error: 'expected a whole number' }).optional();

/** The query of `GET /explain`. */
export const whatIfQuery = z.strictObject({
  /** Frames left in one supposed job, which replaces all open jobs. */
  backlog: count(100_000_000),
  megapixelsPerFrame: number(0.001, 1000).optional(),
  /** The model of the supposed job: its rate counts. */
  model: z.string().min(1).max(100).optional(),
  messages: count(10_000_000),
  capacityMax: count(1000),
  drainTargetSeconds: number(1, 86_400).optional(),
  /** When the schedule and the override are read. Everything else stays as it is now. */
  at: z.iso
    .datetime({ offset: true, error: 'expected a time such as 2026-12-01T08:00Z' })
    .transform((text) => new Date(text))
    .optional(),
});
export type WhatIf = z.infer<typeof whatIfQuery>;

export function isWhatIf(query: WhatIf): boolean {
  return Object.values(query).some((value) => value !== undefined);
}

export interface SupposedSituation {
  readonly observation: Observation;
  readonly policy: Policy;
}

export function applyWhatIf(
  { backlog, messages, capacityMax, drainTargetSeconds, at, ...job }: WhatIf,
  observation: Observation,
  policy: Policy,
): SupposedSituation {
  return {
    observation: {
      ...observation,
      ...(backlog === undefined ? {} : { backlog: supposedBacklog(backlog, job, observation) }),
      ...(messages === undefined ? {} : { messagesApprox: messages }),
      ...(at === undefined ? {} : { scheduleAt: at }),
    },
    policy: {
      ...policy,
      ...(capacityMax === undefined
        ? {}
        : { capacityMax, capacityMin: Math.min(policy.capacityMin, capacityMax) }),
      ...(drainTargetSeconds === undefined ? {} : { drainTargetMs: drainTargetSeconds * 1000 }),
    },
  };
}

function supposedBacklog(
  framesRemaining: number,
  { megapixelsPerFrame, model }: Pick<WhatIf, 'megapixelsPerFrame' | 'model'>,
  { backlog, ratesByModel }: Observation,
): readonly JobBacklog[] {
  if (framesRemaining === 0) return [];
  const [open] = backlog ?? [];
  const name = model ?? open?.model ?? [...ratesByModel.keys()][0] ?? 'any';
  const size = megapixelsPerFrame ?? (open?.megapixelsPerFrame || MEGAPIXELS_PER_FRAME);
  const rate = engineRate(name, ratesByModel);
  const batchFrames = Math.round((BATCH_TARGET_SECONDS * rate) / size);
  return [
    {
      jobId: 'what-if',
      model: name,
      priority: 'normal',
      framesRemaining,
      framesDone: 0,
      batchesRemaining: Math.ceil(framesRemaining / Math.min(BATCH_FRAMES_MAX, Math.max(1, batchFrames))),
      framesInFlight: 0,
      messagesMax: 0,
      megapixelsPerFrame: size,
      isSplitting: false,
      spent: 0,
      spendingMax: null,
      deadlineAt: null,
    },
  ];
}
