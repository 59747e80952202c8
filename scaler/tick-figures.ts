/** Figures of one tick, for metrics and status. PURE. */
import { framesToDo, secondsToDo } from './costs/spending-cap.ts';
import { isBlockActive } from './decide/blocked-pools.ts';
import type { Memory } from './decide/memory.ts';
import type { BlockReason } from './fleet/fleet.ts';
import type { Observation, Override, WorkerReport } from './observe/observation.ts';
import { isExpired } from './override/document.ts';
import type { Policy } from './policy.ts';

/** As workers name them; whatever else one says is `other`. */
const PROVIDERS: ReadonlySet<string> = new Set(['tensorrt', 'cuda', 'webgpu', 'cpu']);
/** More models at once are counted together: a label must not grow with what workers say. */
const MODELS_MAX = 20;
const OTHER = 'other';

/** Workers of machines that there are, heard within the time that a heartbeat counts for. */
export function freshReports(
  { now, fleet, workers }: Pick<Observation, 'now' | 'fleet' | 'workers'>,
  { heartbeatStaleMs }: Pick<Policy, 'heartbeatStaleMs'>,
): readonly WorkerReport[] {
  const there = fleet && new Set(fleet.instances.map(({ vmId }) => vmId));
  return [...(workers ?? new Map<string, readonly WorkerReport[]>())]
    .filter(([vmId]) => there === null || there.has(vmId))
    .flatMap(([, reports]) => reports)
    .filter(({ writtenAt }) => now.getTime() - writtenAt.getTime() <= heartbeatStaleMs);
}

/** Null where the ledger cannot be read. */
export function engineSecondsLeft({
  backlog,
  ratesByModel,
}: Pick<Observation, 'backlog' | 'ratesByModel'>): number | null {
  return backlog && backlog.reduce((sum, job) => sum + secondsToDo(job, ratesByModel), 0);
}

/** Frames that the fleet has to do, and those that wait for a higher cap. Null where the ledger cannot be read. */
export function framesLeft({
  backlog,
}: Pick<Observation, 'backlog'>): { readonly toDo: number; readonly held: number } | null {
  if (backlog === null) return null;
  const toDo = backlog.reduce((sum, job) => sum + framesToDo(job), 0);
  return { toDo, held: backlog.reduce((sum, job) => sum + job.framesRemaining, 0) - toDo };
}

/** Pools that give nothing more at the moment. */
export function blocksOf(
  { blocked }: Pick<Memory, 'blocked'>,
  { atMs }: Pick<Observation, 'atMs'>,
): readonly { readonly pool: string; readonly reason: BlockReason }[] {
  return Object.entries(blocked)
    .filter(([, block]) => isBlockActive(block, atMs))
    .map(([pool, { reason }]) => ({ pool, reason }));
}

export function overrideInForce({ override, now }: Pick<Observation, 'override' | 'now'>): Override | null {
  return override === null || override === 'unknown' || isExpired(override, now) ? null : override;
}

export interface WorkerFigure {
  /** `name/version`; null where it has loaded none. */
  readonly model: string | null;
  readonly provider: string;
  readonly megapixelsPerSecond: number;
}

/** Of each worker, with labels that are safe to show. */
export function fleetFigures(reports: readonly WorkerReport[]): readonly WorkerFigure[] {
  const known = new Set<string>();
  return reports.map(({ beat }) => {
    const { model, executionProvider } = beat;
    if (model !== null && known.size < MODELS_MAX) known.add(model);
    const provider = executionProvider ?? 'none';
    return {
      model: model === null || known.has(model) ? model : OTHER,
      provider: provider === 'none' || PROVIDERS.has(provider) ? provider : OTHER,
      megapixelsPerSecond: beat.megapixelsPerSecond ?? 0,
    };
  });
}
