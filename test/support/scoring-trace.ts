/**
 * A job on simulated workers in virtual time: what its ledger and its times say each second, while workers report every five seconds and at the
 * end of each batch. For tests of the time left.
 */
import { type WorkSamples, nextSamples, paceOf } from '../../producer/jobs/time-left.ts';
import { seededRandom } from './seeded-random.ts';

const STEP_SECONDS = 0.25;
const REPORT_SECONDS = 5;
const LATELY_SECONDS = 15;

export interface TraceOptions {
  readonly frames: number;
  readonly batchFrames: number;
  /** Of one worker. */
  readonly framesPerSecond: number;
  /** When each worker is ready, in seconds from the start. */
  readonly readyAt: readonly number[];
  /** How long each worker loads the model, in its first batch. */
  readonly loadSeconds?: number;
  /** Reports name stored segments only, as those of an engine that encodes all at once. */
  readonly segmentFrames?: number;
  /** No batch is sent in between. */
  readonly pause?: readonly [number, number];
  /** Workers that are evicted: their batch is done again. By the number of the worker. */
  readonly evictedAt?: Readonly<Record<number, number>>;
  /** Rates differ by up to this share from worker to worker and from batch to batch. */
  readonly noise?: number;
  /** Of one worker, as earlier jobs have measured. */
  readonly expectedRate?: number | null;
  readonly joinSeconds?: number;
  readonly seed?: number;
}

export interface TracePoint {
  readonly atSeconds: number;
  readonly secondsLeft: number | null;
  readonly actualLeft: number;
}

interface Batch {
  readonly index: number;
  readonly frames: number;
  done: number;
  loadLeft: number;
  reportIn: number;
}

interface Worker {
  readonly readyAt: number;
  readonly evictedAt: number;
  readonly rate: number;
  hasLoaded: boolean;
  batch: Batch | null;
  report: { atSeconds: number; framesLeft: number; hasBegun: boolean } | null;
}

/** One point each second, from the start to the end. */
export function traceOf(options: TraceOptions): TracePoint[] {
  const { frames, batchFrames, loadSeconds = 0, segmentFrames = 1, pause = [0, 0] } = options;
  const { noise = 0, joinSeconds = 2.1, seed = 1, expectedRate = null } = options;
  const random = seededRandom(seed);
  const vary = (value: number): number => value * (1 + noise * (2 * random() - 1));
  const workers = options.readyAt.map((readyAt, number): Worker => ({
    readyAt,
    evictedAt: options.evictedAt?.[number] ?? Infinity,
    rate: vary(options.framesPerSecond),
    hasLoaded: false,
    batch: null,
    report: null,
  }));
  const queue = Array.from({ length: Math.ceil(frames / batchFrames) }, (_, index) => index);
  const sizeOf = (index: number): number => Math.min(batchFrames, frames - index * batchFrames);
  const underway = new Map<number, number>();
  let [scored, reportedSeconds, atSeconds] = [0, 0, 0];
  let scoredAt: number | null = null;
  let samples: WorkSamples = [];
  const points: Omit<TracePoint, 'actualLeft'>[] = [];

  // As `JobTimes.add` counts.
  const report = (worker: Worker, wallSeconds: number, batch: Batch, seen: number): void => {
    const before = worker.report;
    const isRecent = before !== null && atSeconds - before.atSeconds < LATELY_SECONDS;
    const hasBegun = seen > 0 || (isRecent && before.hasBegun);
    if (hasBegun) reportedSeconds += isRecent ? atSeconds - before.atSeconds : wallSeconds;
    worker.report = { atSeconds, framesLeft: batch.frames - seen, hasBegun };
    underway.set(batch.index, seen === batch.frames ? 0 : seen);
  };
  const step = (worker: Worker): void => {
    if (atSeconds >= worker.evictedAt) {
      if (worker.batch !== null) queue.push(worker.batch.index);
      worker.batch = null;
      return;
    }
    const isPaused = atSeconds >= pause[0] && atSeconds < pause[1];
    if (worker.batch === null && atSeconds >= worker.readyAt && !isPaused && queue.length > 0) {
      const index = queue.shift() ?? 0;
      const loadLeft = worker.hasLoaded ? 0 : loadSeconds;
      worker.batch = { index, frames: sizeOf(index), done: 0, loadLeft, reportIn: REPORT_SECONDS };
      worker.hasLoaded = true;
    }
    const { batch } = worker;
    if (batch === null) return;
    batch.reportIn -= STEP_SECONDS;
    if (batch.loadLeft > 0) batch.loadLeft -= STEP_SECONDS;
    else batch.done += vary(worker.rate) * STEP_SECONDS;
    if (batch.done >= batch.frames) {
      scored += batch.frames;
      report(worker, batch.frames / worker.rate, batch, batch.frames);
      worker.batch = null;
    } else if (batch.reportIn <= 0) {
      const seen = Math.floor(batch.done / segmentFrames) * segmentFrames;
      report(worker, REPORT_SECONDS, batch, seen);
      batch.reportIn = REPORT_SECONDS;
    }
  };
  for (; scoredAt === null || atSeconds < scoredAt + joinSeconds; atSeconds += STEP_SECONDS) {
    for (const worker of workers) step(worker);
    if (scored >= frames) scoredAt ??= atSeconds;
    if (atSeconds % 1 !== 0) continue;
    const progress = {
      job: {
        framesExpected: frames,
        framesSplit: frames,
        splitFinished: true,
        framesScored: scored,
        framesFailed: 0,
        framesUnderway: [...underway.values()].reduce((sum, count) => sum + count, 0),
        batchSize: batchFrames,
        megapixelsPerFrame: 1,
      },
      times: {
        inferSeconds: 0,
        reportedSeconds,
        framesBefore: 0,
        ...(scoredAt !== null && { scoredAtMs: scoredAt * 1000 }),
      },
      workers: workers.flatMap(({ report: last }) =>
        last === null || last.atSeconds < atSeconds - LATELY_SECONDS
          ? []
          : [{ reportedAtMs: last.atSeconds * 1000, framesLeft: last.framesLeft }],
      ),
      expectedRate,
      joinRate: frames / 0.1,
      nowMs: atSeconds * 1000,
    };
    samples = nextSamples(samples, progress);
    points.push({ atSeconds, secondsLeft: paceOf(progress, samples)?.secondsLeft ?? null });
  }
  return points.map((point) => ({ ...point, actualLeft: atSeconds - point.atSeconds }));
}
