/**
 * The fleet over the last twelve hours: a sample every ten seconds, in memory. A scaler that restarts begins anew, and every scaler keeps its
 * own, also one that does not lead.
 */
import { spendingPerHour } from './costs/share-cost.ts';
import type { Policy } from './policy.ts';
import { framesLeft, machinesByPhase } from './tick-figures.ts';
import type { Tick } from './tick.ts';

const STEP_MS = 10_000;
export const HISTORY_HOURS_MAX = 12;
const SAMPLES_MAX = (HISTORY_HOURS_MAX * 3_600_000) / STEP_MS;

interface FleetSample {
  /** Unix time in seconds. */
  readonly at: number;
  readonly framesPerSecond: number | null;
  readonly framesLeft: number | null;
  readonly perHour: number | null;
  readonly machines: Readonly<Record<string, number>> | null;
}

export class TickHistory {
  readonly #samples: FleetSample[] = [];
  readonly #policy: Policy;
  /** When the last sample was taken, and the frames that were done of each open job. */
  #last: { readonly atMs: number; readonly doneByJob: ReadonlyMap<string, number> | null } | null = null;

  constructor(policy: Policy) {
    this.#policy = policy;
  }

  /** Call after each tick. */
  note({ observation, memory }: Pick<Tick, 'observation' | 'memory'>): void {
    const { atMs, now, backlog, fleet } = observation;
    if (this.#last !== null && atMs - this.#last.atMs < STEP_MS) return;
    const doneByJob = backlog && new Map(backlog.map((job) => [job.jobId, job.framesDone]));
    this.#samples.push({
      at: Math.round(now.getTime() / 1000),
      framesPerSecond: this.#rate(doneByJob, atMs),
      framesLeft: framesLeft(observation)?.toDo ?? null,
      perHour: fleet && spendingPerHour(fleet.instances, this.#policy.pricePerHour),
      machines: machinesByPhase(observation, this.#policy, memory),
    });
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
    this.#last = { atMs, doneByJob };
  }

  /** In the last ten seconds; null if unknown. */
  framesPerSecond(): number | null {
    return this.#samples.at(-1)?.framesPerSecond ?? null;
  }

  /** The samples of the last hours, as columns. */
  of(hours: number) {
    const since = (this.#samples.at(-1)?.at ?? 0) - hours * 3600;
    const samples = this.#samples.filter(({ at }) => at >= since);
    const phases = new Set(samples.flatMap(({ machines }) => Object.keys(machines ?? {})));
    return {
      stepSeconds: STEP_MS / 1000,
      at: samples.map(({ at }) => at),
      framesPerSecond: samples.map((sample) => sample.framesPerSecond),
      framesLeft: samples.map((sample) => sample.framesLeft),
      perHour: samples.map(({ perHour }) => perHour),
      machines: Object.fromEntries(
        [...phases].map((phase) => [
          phase,
          samples.map(({ machines }) => (machines === null ? null : (machines[phase] ?? 0))),
        ]),
      ),
    };
  }

  /** Of jobs that are open now and were open before. A job that is opened again has frames done already: they are not counted. */
  #rate(doneByJob: ReadonlyMap<string, number> | null, atMs: number): number | null {
    const last = this.#last;
    const before = last?.doneByJob ?? null;
    if (last === null || before === null || doneByJob === null) return null;
    let frames = 0;
    for (const [jobId, done] of doneByJob) frames += Math.max(0, done - (before.get(jobId) ?? done));
    return Number(((frames * 1000) / (atMs - last.atMs)).toFixed(2));
  }
}
