/**
 * How long an instance takes from being asked for to its worker's first word: measured, smoothed, kept in Redis. It is what a cold
 * start costs, and so how long an idle instance is worth keeping.
 */
import type { Instance } from '../fleet/fleet.ts';
import type { ScalerState } from '../scaler-state.ts';
import type { WorkerReport } from './observation.ts';

/** A worker that has said this much was heard late: by a scaler that has just begun. */
const EARLY_BEATS_MAX = 30;
/** Weight of the newest: a change of image or size shows within some ten boots. */
const SMOOTHING = 0.3;
const BOOT_MS_MAX = 3_600_000;

export class BootTimes {
  readonly #state: Pick<ScalerState, 'isNewInstance' | 'bootMs' | 'saveBootMs'>;
  /** So that Redis is not asked about the same instance at every tick. */
  readonly #seen = new Set<string>();

  constructor(state: Pick<ScalerState, 'isNewInstance' | 'bootMs' | 'saveBootMs'>) {
    this.#state = state;
  }

  /** Takes note of who speaks for the first time; returns the smoothed time, or null where none was measured. */
  async follow({
    instances,
    workers,
  }: {
    readonly instances: readonly Instance[];
    readonly workers: ReadonlyMap<string, readonly WorkerReport[]>;
  }): Promise<number | null> {
    let bootMs = await this.#state.bootMs();
    for (const { vmId, createdAt } of instances) {
      const reports = vmId === null ? undefined : workers.get(vmId);
      if (vmId === null || reports === undefined || this.#seen.has(vmId)) continue;
      const isNew = await this.#state.isNewInstance(vmId);
      this.#seen.add(vmId);
      const tookMs = timeToFirstWord(createdAt, reports);
      if (!isNew || tookMs === undefined) continue;
      bootMs = bootMs === null ? tookMs : bootMs + SMOOTHING * (tookMs - bootMs);
      await this.#state.saveBootMs(bootMs);
    }
    this.#forgetAllBut(instances);
    return bootMs;
  }

  #forgetAllBut(instances: readonly Instance[]): void {
    const there = new Set(instances.map(({ vmId }) => vmId));
    for (const vmId of this.#seen) if (!there.has(vmId)) this.#seen.delete(vmId);
  }
}

function timeToFirstWord(createdAt: Date, reports: readonly WorkerReport[]): number | undefined {
  const early = reports.filter(({ beat }) => beat.sequence <= EARLY_BEATS_MAX);
  if (early.length < reports.length || early.length === 0) return undefined;
  const tookMs = Math.min(...early.map(({ writtenAt }) => writtenAt.getTime())) - createdAt.getTime();
  // Storage tells whole seconds: a quick boot may seem to have taken less than none.
  return tookMs > BOOT_MS_MAX || tookMs < -2_000 ? undefined : Math.max(0, tookMs);
}
