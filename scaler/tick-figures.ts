/** Derives the figures of one tick that metrics and `GET /status` show. PURE. */
import { framesToDo, secondsToDo } from './costs/spending-cap.ts';
import { isBlockActive } from './decide/blocked-pools.ts';
import { type InstanceState, instanceState } from './decide/instance-state.ts';
import type { Memory } from './decide/memory.ts';
import type { BlockReason } from './fleet/fleet.ts';
import type { Observation, WorkerReport } from './observe/observation.ts';
import { type Override, isExpired } from './override/document.ts';
import type { Policy } from './policy.ts';

/** The execution providers that workers report. Any other value is shown as `other`. */
const PROVIDERS: ReadonlySet<string> = new Set(['tensorrt', 'cuda', 'webgpu', 'cpu']);
/** Further models are counted together: a metric label must not grow with what workers report. */
const MODELS_MAX = 20;
const OTHER = 'other';

/** Fresh heartbeats of workers whose instances exist. */
export function freshReports(
  { now, fleet, workers }: Pick<Observation, 'now' | 'fleet' | 'workers'>,
  { heartbeatStaleMs }: Pick<Policy, 'heartbeatStaleMs'>,
): readonly WorkerReport[] {
  const present = fleet && new Set(fleet.instances.map(({ vmId }) => vmId));
  return [...(workers ?? new Map<string, readonly WorkerReport[]>())]
    .filter(([vmId]) => present === null || present.has(vmId))
    .flatMap(([, reports]) => reports)
    .filter(({ writtenAt }) => now.getTime() - writtenAt.getTime() <= heartbeatStaleMs);
}

/** Null if the ledger cannot be read. */
export function engineSecondsLeft({
  backlog,
  ratesByModel,
}: Pick<Observation, 'backlog' | 'ratesByModel'>): number | null {
  return backlog && backlog.reduce((sum, job) => sum + secondsToDo(job, ratesByModel), 0);
}

/** Frames left for the fleet, and frames that wait for a higher cap. Null if the ledger cannot be read. */
export function framesLeft({
  backlog,
}: Pick<Observation, 'backlog'>): { readonly toDo: number; readonly held: number } | null {
  if (backlog === null) return null;
  const toDo = backlog.reduce((sum, job) => sum + framesToDo(job), 0);
  return { toDo, held: backlog.reduce((sum, job) => sum + job.framesRemaining, 0) - toDo };
}

/** Pools that cannot grow at the moment. */
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

/** How many instances are in each phase of their lives, as the page shows them; null if the fleet cannot be read. */
export function machinesByPhase(
  observation: Observation,
  policy: Policy,
  memory: Memory,
): Readonly<Record<string, number>> | null {
  if (observation.fleet === null) return null;
  const counts: Record<string, number> = {};
  for (const instance of observation.fleet.instances) {
    const phase = machinePhase(instanceState(instance, observation, policy, memory));
    counts[phase] = (counts[phase] ?? 0) + 1;
  }
  return counts;
}

function machinePhase({ life, draining, instance }: InstanceState): string {
  switch (life) {
    case 'leaving':
      return 'deleting';
    case 'not-running':
      return 'stopped';
    case 'overdue':
    case 'unready':
    case 'failed':
      return 'failed';
    case 'booting':
      return instance.phase === 'creating' ? 'creating' : 'starting';
    case 'silent':
      return 'silent';
    case 'idle':
    case 'busy':
      return draining === 'none' ? (life === 'busy' ? 'working' : 'idle') : 'draining';
  }
}

export interface WorkerFigure {
  /** `name/version`; null if no model is loaded. */
  readonly model: string | null;
  readonly provider: string;
  readonly megapixelsPerSecond: number;
}

/** One figure per worker, with labels from closed sets. */
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
