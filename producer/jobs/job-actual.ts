/** What a job took, from the scaler's charges and the times of its stages. PURE. The parts add up to the total. */
import type { AmountByPart, JobActual } from '../../shared/contract/job-actual.ts';
import type { JobTimesSoFar } from '../../shared/redis/job-times.ts';
import type { Amount, JobSpending } from '../../shared/redis/spending.ts';

/** A shorter one is the time between two looks at the job. */
const WAIT_MS_MIN = 2_000;

export interface ActualInputs {
  readonly spending: JobSpending;
  readonly times: JobTimesSoFar;
  readonly enginesPerMachine: number;
  /** Machines that nothing else needs, for this long after the last frame. */
  readonly machinesLeft: number;
  readonly idleSeconds: number;
  /** When the job was requested, or opened again for a retry. */
  readonly since: Date;
  readonly now: Date;
}

export function actualOf(inputs: ActualInputs): JobActual {
  const { spending, times, enginesPerMachine, since, now } = inputs;
  const { total, work } = spending;
  const idleMs = Math.round(Math.max(0, inputs.machinesLeft) * inputs.idleSeconds * 1000);
  const idleExpected = { machineMs: idleMs, micros: priceOf(total, idleMs) };
  const inferMs = Math.round((times.inferSeconds * 1000) / enginesPerMachine);
  // The scaler charges by ticks, and shares machines among jobs: the model may have run for longer than the job is charged for.
  const inference = Math.min(work.machineMs, inferMs);
  const machineMs = partsOf(spending, 'machineMs', inference, idleExpected);
  const share = work.machineMs === 0 ? 0 : inference / work.machineMs;
  const micros = partsOf(spending, 'micros', Math.round(work.micros * share), idleExpected);
  return {
    machineMs,
    micros: total.micros === 0 ? null : micros,
    stages: stagesOf(times, since, now),
    wallMs: Math.max(0, now.getTime() - since.getTime()),
  };
}

function partsOf(
  { work, boot, idle }: JobSpending,
  unit: keyof Amount,
  inference: number,
  idleExpected: Amount,
): AmountByPart {
  const parts = {
    inference,
    other: work[unit] - inference,
    boot: boot[unit],
    idle: idle[unit],
    idleExpected: idleExpected[unit],
  };
  return { ...parts, total: Object.values(parts).reduce((sum, part) => sum + part, 0) };
}

/** Of so much machine time, at the average price that the job has paid. */
function priceOf({ machineMs, micros }: Amount, ms: number): number {
  return machineMs === 0 ? 0 : Math.round((micros / machineMs) * ms);
}

/** Those that are known to have begun. One that is not known to have ended lasts until the next begins, or until now. */
function stagesOf(times: JobTimesSoFar, since: Date, now: Date): JobActual['stages'] {
  const { splittingSinceMs, splitAtMs, scoringSinceMs, scoredAtMs } = times;
  const nowMs = now.getTime();
  const stages = [
    { name: 'waiting', fromMs: since.getTime(), toMs: splittingSinceMs ?? nowMs },
    { name: 'splitting', fromMs: splittingSinceMs, toMs: splitAtMs ?? nowMs },
    { name: 'waiting', fromMs: waitingSince(times), toMs: scoringSinceMs ?? nowMs },
    { name: 'scoring', fromMs: scoringSinceMs, toMs: scoredAtMs ?? nowMs },
    { name: 'joining', fromMs: scoredAtMs, toMs: nowMs },
  ] as const;
  return stages.flatMap(({ name, fromMs, toMs }) =>
    fromMs === undefined ? [] : [{ name, from: instantOf(fromMs), to: instantOf(Math.max(fromMs, toMs)) }],
  );
}

/**
 * When the wait between split and scoring began, of a job that was paused, held at its cap, or had others before it. Undefined without
 * one. `nowMs` counts for a job that still waits.
 */
export function waitingSince(
  { splitAtMs, scoringSinceMs }: Pick<JobTimesSoFar, 'splitAtMs' | 'scoringSinceMs'>,
  nowMs?: number,
): number | undefined {
  const toMs = scoringSinceMs ?? nowMs;
  if (splitAtMs === undefined || toMs === undefined || toMs - splitAtMs < WAIT_MS_MIN) return undefined;
  return splitAtMs;
}

function instantOf(ms: number): string {
  return new Date(ms).toISOString();
}
