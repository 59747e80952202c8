/**
 * How many instances the work wants, before any bound. PURE.
 *
 *   engine-seconds = Σ over jobs of frames × megapixels a frame / megapixels a second of one engine with that model
 *   in time        = ⌈engine-seconds / (drain target × engines an instance)⌉
 *   worth booting  = ⌊engine-seconds / (boot time × engines an instance)⌋     nobody works for less than it takes to boot
 *   batches        = ⌈batches / engines an instance⌉                          nobody finds nothing to take
 *   wanted         = max(1, min of the three) where there is any sign of work, else 0
 *
 * Each of the three only rises with the backlog, by one at a time: no cliff, and more to do never asks for fewer. A job with a cap asks
 * for no more than its money buys, and for no instance once that is spent. Without the ledger each message counts as a batch of the
 * usual length.
 *
 * The form is argo-dataflow's and KEDA's "enough to drain it within the target time" (their issues 243 and 647), with the cold
 * start as a second bound: the reference this descends from started twenty machines for ten frames.
 */
import { BATCH_TARGET_SECONDS } from '../../shared/contract/limits.ts';
import { isAtItsCap, secondsAskedFor } from '../costs/spending-cap.ts';
import type { Observation } from '../observe/observation.ts';
import type { Policy } from '../policy.ts';
import type { Step } from './decision.ts';

export interface Demand {
  readonly wanted: number;
  readonly hasWork: boolean;
  /** Whether either signal could be read: a fleet may grow on it. */
  readonly isKnown: boolean;
  /** Whether both could: only then may it shrink. */
  readonly isComplete: boolean;
  readonly framesRemaining: number | null;
  readonly engineSeconds: number | null;
  readonly jobsCapped: number;
  /** The first of them. */
  readonly jobIdsCapped: readonly string[];
  readonly steps: readonly Step[];
}

/** A quotient that is whole but for the last bit of a double is taken for whole. */
const EPSILON = 1e-9;
/** As many as fit into a line. */
const JOBS_NAMED_MAX = 3;
/** Ten times the largest scale set: a larger demand is a mistake in what was read, and asks for nothing more. */
const WANTED_MAX = 10_000;

export function capacityWanted(
  { messagesApprox, backlog, ratesByModel }: Pick<Observation, 'messagesApprox' | 'backlog' | 'ratesByModel'>,
  { policy, bootMs }: { readonly policy: Policy; readonly bootMs: number },
): Demand {
  const capped = (backlog ?? []).filter(isAtItsCap);
  const jobs = (backlog ?? []).filter((job) => !isAtItsCap(job));
  // Messages on the queue may be theirs: the machines there are finish them, and none is started for them.
  const cappedMessages = sumOf(capped, ({ messagesMax }) => messagesMax);
  const messages = Math.max(0, (messagesApprox ?? 0) - cappedMessages);
  const framesRemaining = sumOf(jobs, (job) => job.framesRemaining);
  const batches = Math.max(
    messages,
    sumOf(jobs, ({ batchesRemaining }) => batchesRemaining),
  );
  const engineSeconds =
    backlog === null
      ? messages * BATCH_TARGET_SECONDS
      : sumOf(jobs, (job) => secondsAskedFor(job, ratesByModel, policy));
  const hasWork = framesRemaining > 0 || messages > 0 || jobs.some(({ isSplitting }) => isSplitting);

  const secondsEach = (ms: number): number => (ms / 1000) * policy.enginesPerInstance;
  const inTime = bounded(Math.ceil(engineSeconds / secondsEach(policy.drainTargetMs) - EPSILON));
  const worthBooting = bounded(Math.floor(engineSeconds / secondsEach(bootMs) + EPSILON));
  const shared = bounded(Math.ceil(batches / policy.enginesPerInstance));
  const wanted = hasWork ? Math.max(1, Math.min(inTime, worthBooting, shared)) : 0;
  return {
    wanted,
    hasWork,
    isKnown: messagesApprox !== null || backlog !== null,
    isComplete: messagesApprox !== null && backlog !== null,
    framesRemaining: backlog === null ? null : framesRemaining,
    engineSeconds: backlog === null && messagesApprox === null ? null : engineSeconds,
    jobsCapped: capped.length,
    jobIdsCapped: capped.slice(0, JOBS_NAMED_MAX).map(({ jobId }) => jobId),
    steps: [
      {
        name: 'backlog',
        numbers: {
          framesRemaining: backlog === null ? null : framesRemaining,
          batchesRemaining: batches,
          engineSeconds: Math.round(engineSeconds),
        },
      },
      { name: 'queue', numbers: { messages: messagesApprox } },
      ...(capped.length === 0 ? [] : [{ name: 'capped', numbers: { jobs: capped.length } } as const]),
      { name: 'in-time', numbers: { instances: inTime, targetSeconds: policy.drainTargetMs / 1000 } },
      {
        name: 'worth-booting',
        numbers: { instances: Math.max(1, worthBooting), bootSeconds: bootMs / 1000 },
      },
      { name: 'batches', numbers: { instances: shared } },
      { name: 'wanted', numbers: { instances: wanted } },
    ],
  };
}

/** Limits a number of instances to 0 … WANTED_MAX, so that a wrong reading cannot ask for more. */
function bounded(instances: number): number {
  return Math.min(WANTED_MAX, Math.max(0, instances));
}

function sumOf<T>(items: readonly T[], numberOf: (item: T) => number): number {
  return items.reduce((sum, item) => sum + numberOf(item), 0);
}
