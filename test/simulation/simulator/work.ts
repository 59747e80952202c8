/**
 * The work of a simulated world: jobs and their batches, as they really are, whatever the scaler observes. A batch is on the queue, held
 * by a worker, or done. A lease that runs out puts it back on the queue.
 */
import type { ArrivingJob } from './scenario.ts';

export class SimulatedJob {
  readonly id: string;
  readonly plan: ArrivingJob;
  visible = 0;
  held = 0;
  done = 0;
  /** Batches that are not split yet. */
  unsplit: number;

  constructor(id: string, plan: ArrivingJob) {
    this.id = id;
    this.plan = plan;
    this.unsplit = plan.batches;
  }

  get remaining(): number {
    return this.plan.batches - this.done;
  }
}

export class SimulatedWork {
  readonly #arriving: ArrivingJob[];
  /** Open jobs. */
  jobs: SimulatedJob[] = [];
  #opened = 0;

  constructor(arriving: readonly ArrivingJob[]) {
    this.#arriving = arriving.toSorted((a, b) => b.atMs - a.atMs);
  }

  get isOver(): boolean {
    return this.#arriving.length === 0 && this.jobs.length === 0;
  }

  /** Messages on the queue, visible or leased. */
  get messages(): number {
    return this.jobs.reduce((sum, { visible, held }) => sum + visible + held, 0);
  }

  advance(atMs: number): void {
    for (
      let next = this.#arriving.at(-1);
      next !== undefined && next.atMs <= atMs;
      next = this.#arriving.at(-1)
    ) {
      this.#arriving.pop();
      this.#opened += 1;
      this.jobs.push(new SimulatedJob(`job-${this.#opened}`, next));
    }
    for (const job of this.jobs) {
      const { splitMs, batches, atMs: fromMs } = job.plan;
      const share = splitMs <= 0 ? 1 : Math.min(1, (atMs - fromMs) / splitMs);
      const split = Math.floor(share * batches);
      const fresh = split - (batches - job.unsplit);
      if (fresh > 0) {
        job.unsplit -= fresh;
        job.visible += fresh;
      }
    }
    this.jobs = this.jobs.filter(({ remaining }) => remaining > 0);
  }

  /** Takes a batch of the job whose turn it is; undefined if no batch is visible. */
  receive(turn: number): SimulatedJob | undefined {
    const { length } = this.jobs;
    for (let step = 0; step < length; step += 1) {
      const job = this.jobs[(turn + step) % length];
      if (job === undefined || job.visible === 0) continue;
      job.visible -= 1;
      job.held += 1;
      return job;
    }
    return undefined;
  }
}

export function giveBack(job: SimulatedJob): void {
  job.held -= 1;
  job.visible += 1;
}

export function complete(job: SimulatedJob): void {
  job.held -= 1;
  job.done += 1;
}
