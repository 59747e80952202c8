/**
 * Measures the time from the request for an instance to its first heartbeat, smoothed and kept in Redis. This is the length of a cold
 * start, and therefore the time for which an idle instance is worth keeping.
 */
import type { Instance } from '../fleet/fleet.ts';
import type { ScalerState } from '../scaler-state.ts';
import type { WorkerReport } from './observation.ts';

/** A worker that has sent more heartbeats started long ago: this scaler has just started itself. */
const EARLY_BEATS_MAX = 30;
/** Weight of the newest measurement: a change of image or size shows within about ten boots. */
const SMOOTHING = 0.3;
const BOOT_MS_MAX = 3_600_000;

export class BootTimes {
  readonly #state: Pick<ScalerState, 'isNewInstance' | 'bootMs' | 'saveBootMs'>;
  /** Instances that need no further question to Redis. */
  readonly #measured = new Set<string>();

  constructor(state: Pick<ScalerState, 'isNewInstance' | 'bootMs' | 'saveBootMs'>) {
    this.#state = state;
  }

  /** Measures instances that report for the first time. Returns the smoothed time, or null if there is no measurement. */
  async update(
    instances: readonly Instance[],
    workers: ReadonlyMap<string, readonly WorkerReport[]>,
  ): Promise<number | null> {
    let bootMs = await this.#state.bootMs();
    for (const { vmId, createdAt } of instances) {
      const reports = vmId === null ? undefined : workers.get(vmId);
      if (vmId === null || reports === undefined || this.#measured.has(vmId)) continue;
      const isNew = await this.#state.isNewInstance(vmId);
      this.#measured.add(vmId);
      const tookMs = timeToFirstHeartbeat(createdAt, reports);
      if (!isNew || tookMs === undefined) continue;
      bootMs = bootMs === null ? tookMs : bootMs + SMOOTHING * (tookMs - bootMs);
      await this.#state.saveBootMs(bootMs);
    }
    this.#forgetAllBut(instances);
    return bootMs;
  }

  #forgetAllBut(instances: readonly Instance[]): void {
    const present = new Set(instances.map(({ vmId }) => vmId));
    for (const vmId of this.#measured) if (!present.has(vmId)) this.#measured.delete(vmId);
  }
}

function timeToFirstHeartbeat(createdAt: Date, reports: readonly WorkerReport[]): number | undefined {
  const early = reports.filter(({ beat }) => beat.sequence <= EARLY_BEATS_MAX);
  if (early.length < reports.length || early.length === 0) return undefined;
  const tookMs = Math.min(...early.map(({ writtenAt }) => writtenAt.getTime())) - createdAt.getTime();
  // Storage rounds to whole seconds, so a quick boot may measure less than zero.
  return tookMs > BOOT_MS_MAX || tookMs < -2_000 ? undefined : Math.max(0, tookMs);
}
