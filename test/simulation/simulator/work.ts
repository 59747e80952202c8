/**
 * The work of a simulated world: jobs, their batches, and who holds which lease. Its own truth, which no signal can bend. A batch is
 * on the queue, held, or done; a lease that runs out puts it back.
 */
import type { ArrivingJob } from './scenario.ts';

export class SimulatedJob {
  readonly id: string;
  readonly asked: ArrivingJob;
  visible = 0;
  held = 0;
  done = 0;
  /** Batches that the split has not come to. */
  unsplit: number;

  constructor(id: string, asked: ArrivingJob) {
    this.id = id;
    this.asked = asked;
    this.unsplit = asked.batches;
  }

  get remaining(): number {
    return this.asked.batches - this.done;
  }
}

export class SimulatedWork {
  readonly #arriving: ArrivingJob[];
  /** Open ones. */
  jobs: SimulatedJob[] = [];
  #opened = 0;

  constructor(arriving: readonly ArrivingJob[]) {
    this.#arriving = arriving.toSorted((a, b) => b.atMs - a.atMs);
  }

  get isOver(): boolean {
    return this.#arriving.length === 0 && this.jobs.length === 0;
  }

  /** On the queue, taken or not. */
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
      const { splitMs, batches, atMs: fromMs } = job.asked;
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

  /** The job whose turn it is gives a batch; undefined where nothing is visible. */
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
