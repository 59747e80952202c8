/**
 * What a job will cost and how long it will take, from what the fleet has measured. PURE.
 *
 *   work     = (frames + frames seen again before each batch) × megapixels / rate of one engine
 *   start    = boot from zero, meanwhile the job is picked up and its first batch is split
 *   scoring  = batches dealt to the engines, each batch as a whole; not faster than the split
 *   join     = from the last scored frame to the result
 *   wall     = start + scoring + join
 *   machines = boot + scoring + idle window, each; what is not work of that is boot or idle
 *
 * Machines that would find no batch are not started and cost nothing. The upload is not in it: its speed is unknown. Storage is not in it either,
 * because the prices in the settings are those of machines: docs/azure-costs.md says what it costs.
 */
import type { FleetRates } from '../../shared/contract/fleet-rates.ts';
import { MEGAPIXELS_PER_SECOND_ASSUMED } from '../../shared/contract/limits.ts';
import { machinesWanted } from '../../shared/contract/machines-wanted.ts';
import { END_SECONDS, JOIN_RATE_ASSUMED, START_SECONDS } from '../jobs/fixed-times.ts';
import { planBatchSizes } from '../jobs/plan-batches.ts';

/** Megapixels per second until they are measured, from docs/performance.md. */
const SPLIT_ASSUMED = { cut: 500, decode: 60, images: 30 };

export interface EstimatedWork {
  /** How the source is split. */
  readonly split: 'cut' | 'decode' | 'images';
  readonly frames: number;
  readonly megapixelsPerFrame: number;
  readonly model: string;
  /** Frames before a batch that the model sees again. */
  readonly contextFrames: number;
  /** That the user asks for, if any. */
  readonly batchFrames: number | undefined;
}

/** The parts add up to `total`. */
interface MachineSeconds {
  /** With a batch. */
  readonly work: number;
  readonly boot: number;
  /** Without a batch, in the idle window after the last one, too. */
  readonly idle: number;
  readonly total: number;
}

interface FleetEstimate {
  readonly machines: number;
  /** Fewer if there are not as many batches. */
  readonly machinesUsed: number;
  /** From the end of the upload to the result. */
  readonly seconds: number;
  readonly secondsByStage: { readonly start: number; readonly scoring: number; readonly join: number };
  readonly machineSeconds: MachineSeconds;
  /** In the currency of the prices; null without prices. */
  readonly money: number | null;
}

export interface JobEstimate {
  readonly frames: number;
  /** The time that engines spend on batches. It does not depend on the number of machines. */
  readonly gpuSeconds: number;
  readonly batches: number;
  /** As many machines as the scaler will start by itself. */
  readonly machinesWanted: number;
  readonly wallSeconds: readonly FleetEstimate[];
  /** Whether the rate of the model has been measured. */
  readonly isMeasured: boolean;
  /** What the figures rest on, in one sentence. */
  readonly basis: string;
}

/** For each number of machines in `machineCounts`; for the number that the scaler starts if there is none. */
export function estimateJob(
  work: EstimatedWork,
  rates: FleetRates,
  machineCounts: readonly number[] = [],
): JobEstimate {
  const plan = planOf(work, rates);
  const { batches, gpuSeconds } = plan;
  const { wanted } = machinesWanted(
    { engineSeconds: gpuSeconds, batches },
    {
      drainTargetSeconds: rates.drainTargetSeconds,
      bootSeconds: Math.max(1, bootSecondsOf(rates)),
      enginesPerMachine: rates.enginesPerMachine,
    },
  );
  const ofScaler = Math.max(1, Math.min(wanted, rates.machinesMax));
  const counts = machineCounts.length === 0 ? [ofScaler] : machineCounts;
  return {
    frames: work.frames,
    gpuSeconds,
    batches,
    machinesWanted: ofScaler,
    wallSeconds: counts.map((machines) => onFleet(machines, plan, rates)),
    isMeasured: rates.models[work.model] !== undefined,
    basis: basisOf(work.model, rates),
  };
}

interface WorkPlan {
  readonly batches: number;
  readonly batchSeconds: number;
  readonly lastBatchSeconds: number;
  readonly gpuSeconds: number;
  readonly splitSeconds: number;
  readonly firstSplitSeconds: number;
  readonly joinSeconds: number;
}

function planOf(work: EstimatedWork, rates: FleetRates): WorkPlan {
  const { frames, megapixelsPerFrame, contextFrames } = work;
  const rate = rates.models[work.model] ?? MEGAPIXELS_PER_SECOND_ASSUMED;
  const { batchFrames } = planBatchSizes({
    framesExpected: frames,
    megapixelsPerFrame,
    megapixelsPerSecond: rate,
    requested: work.batchFrames,
    contextFrames,
  });
  const batches = Math.ceil(frames / batchFrames);
  const secondsOf = (count: number, batchIndex: number): number =>
    ((count + (batchIndex === 0 ? 0 : contextFrames)) * megapixelsPerFrame) / rate;
  const lastFrames = frames - Math.max(0, batches - 1) * batchFrames;
  const again = Math.max(0, batches - 1) * contextFrames;
  const splitSeconds = (frames * megapixelsPerFrame) / (rates.split[work.split] ?? SPLIT_ASSUMED[work.split]);
  return {
    batches,
    batchSeconds: secondsOf(Math.min(batchFrames, frames), batches > 1 ? 1 : 0),
    lastBatchSeconds: secondsOf(lastFrames, batches - 1),
    gpuSeconds: ((frames + again) * megapixelsPerFrame) / rate,
    splitSeconds,
    firstSplitSeconds: batches === 0 ? 0 : splitSeconds / batches,
    joinSeconds: END_SECONDS + (frames * megapixelsPerFrame) / (rates.join ?? JOIN_RATE_ASSUMED),
  };
}

function onFleet(machines: number, plan: WorkPlan, rates: FleetRates): FleetEstimate {
  const { enginesPerMachine, idleSeconds } = rates;
  const machinesUsed = Math.min(machines, Math.ceil(plan.batches / enginesPerMachine));
  const bootSeconds = bootSecondsOf(rates);
  const start = Math.max(bootSeconds, START_SECONDS + plan.firstSplitSeconds);
  const scoring = Math.max(
    secondsOfWaves(plan, machinesUsed * enginesPerMachine),
    plan.splitSeconds - plan.firstSplitSeconds + plan.lastBatchSeconds,
  );
  const workSeconds = plan.gpuSeconds / enginesPerMachine;
  const boot = machinesUsed * bootSeconds;
  const idle = Math.max(0, machinesUsed * scoring - workSeconds) + machinesUsed * idleSeconds;
  const total = workSeconds + boot + idle;
  const price = rates.pools[0]?.pricePerHour ?? null;
  return {
    machines,
    machinesUsed,
    seconds: start + scoring + plan.joinSeconds,
    secondsByStage: { start, scoring, join: plan.joinSeconds },
    machineSeconds: { work: workSeconds, boot, idle, total },
    money: price === null ? null : (total / 3600) * price,
  };
}

/** All batches take the same time but the last one, so engines that begin together finish together. */
function secondsOfWaves({ batches, batchSeconds, lastBatchSeconds }: WorkPlan, engines: number): number {
  if (batches === 0) return 0;
  const waves = Math.ceil(batches / engines);
  const isLastAlone = (batches - 1) % engines === 0;
  return (waves - 1) * batchSeconds + (isLastAlone ? lastBatchSeconds : batchSeconds);
}

/** As the scaler assumes it: the idle window until a boot has been measured. */
function bootSecondsOf({ bootSeconds, idleSeconds }: FleetRates): number {
  return bootSeconds ?? idleSeconds;
}

function basisOf(model: string, rates: FleetRates): string {
  const rate = rates.models[model];
  const boot = bootSecondsOf(rates);
  const bootText = `a boot of ${Math.round(boot)} s${rates.bootSeconds === null ? ' (not measured)' : ''}`;
  const window = `an idle window of ${Math.round(rates.idleSeconds)} s`;
  if (rate === undefined)
    return `Not measured yet: ${model} has not run on this fleet, so ${MEGAPIXELS_PER_SECOND_ASSUMED} megapixels per second of an engine are assumed, with ${bootText} and ${window}.`;
  return `Measured on this fleet until ${rates.measuredAt.slice(0, 16).replace('T', ' ')}Z: ${rate.toPrecision(3)} megapixels per second of an engine, ${bootText} and ${window}.`;
}
