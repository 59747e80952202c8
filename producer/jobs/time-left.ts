/**
 * How fast a running job is, and when it will be done. PURE. The producer writes it into the status, so that everything that shows a job shows
 * the same.
 *
 *   rate      = frames done / time of workers with a batch, of the last two minutes of each worker; at first, with what earlier jobs measured
 *   scoring   = what is left, dealt to the workers that report now: each finishes its batch, then takes another as a whole
 *   left      = max(scoring, split and its last batch) + join
 *
 * The time of a worker counts up to its last report, and so do its frames, so bursts of reports do not matter. A pause and a wait for machines
 * are no time of a worker. A fleet that grows or shrinks changes the number of workers, not their rate.
 */
import type { BusyWorker, JobTimesSoFar } from '../../shared/redis/job-times.ts';
import type { LedgerJob } from '../../shared/redis/ledger-job.ts';
import { END_SECONDS } from './fixed-times.ts';

/** For each worker: long enough for several segments, short enough to follow a change of the film. */
const WINDOW_SECONDS = 120;
/** Of each worker: its first frames are slower. While there is little to go by, no more than half of it is left out. */
const WARM_UP_SECONDS = 30;
/** What earlier jobs have measured counts as much as this time of a worker. */
const PRIOR_SECONDS = 10;
/** With more batches than this for each worker, they are spread evenly. */
const BATCHES_DEALT_MAX = 50;

interface WorkSample {
  readonly framesDone: number;
  /** Time of workers with a batch of the job. */
  readonly workerSeconds: number;
}

/** Oldest first. */
export type WorkSamples = readonly WorkSample[];

export interface Progress {
  readonly job: Pick<
    LedgerJob,
    'framesExpected' | 'framesSplit' | 'splitFinished' | 'framesScored' | 'framesFailed' | 'framesUnderway'
  > &
    Pick<LedgerJob, 'batchSize' | 'megapixelsPerFrame'>;
  readonly times: JobTimesSoFar;
  readonly workers: readonly BusyWorker[];
  /** Frames per second of a worker, from earlier batches with the model; null until it has run. */
  readonly expectedRate: number | null;
  /** Megapixels per second of the join. */
  readonly joinRate: number;
  readonly nowMs: number;
}

export interface Pace {
  readonly framesPerSecond: number;
  readonly secondsLeft: number;
}

function framesDoneOf({
  framesExpected,
  framesScored,
  framesFailed,
  framesUnderway,
}: Progress['job']): number {
  const resolved = framesScored + framesFailed;
  // Workers that were killed may leave frames underway that are counted elsewhere, too.
  return resolved + Math.min(framesUnderway, Math.max(0, framesExpected - resolved));
}

/** Adds a sample if a worker has reported since, and drops those that are too old. */
export function nextSamples(before: WorkSamples, { job, times, workers }: Progress): WorkSamples {
  const sample = { framesDone: framesDoneOf(job), workerSeconds: times.reportedSeconds };
  const start = { framesDone: times.framesBefore ?? sample.framesDone, workerSeconds: 0 };
  const known = before.length === 0 ? [start] : before;
  // Between two changes the time grows alone: a rate up to now would be too low.
  if (known.at(-1)?.framesDone === sample.framesDone) return known;
  // The source is split again.
  if (sample.framesDone < (known[0]?.framesDone ?? 0)) return [sample];
  const samples = [...known, sample];
  const count = Math.max(1, workers.length);
  const windowStart = Math.max(
    sample.workerSeconds - WINDOW_SECONDS * count,
    Math.min(sample.workerSeconds / 2, WARM_UP_SECONDS * count),
  );
  const oldest = samples.findLastIndex(({ workerSeconds }) => workerSeconds <= windowStart);
  return samples.slice(Math.max(0, oldest));
}

/** Null until it can be known: before the first report, and while no worker has a batch. */
export function paceOf(progress: Progress, samples: WorkSamples): Pace | null {
  const { job, times, workers, nowMs } = progress;
  const left = job.framesExpected - framesDoneOf(job);
  const join = END_SECONDS + (job.framesExpected * job.megapixelsPerFrame) / progress.joinRate;
  if (job.splitFinished && left <= 0) {
    const joiningSeconds = (nowMs - (times.scoredAtMs ?? nowMs)) / 1000;
    return { framesPerSecond: 0, secondsLeft: Math.max(0, join - joiningSeconds) };
  }
  const rate = rateOf(samples, progress.expectedRate);
  if (rate === null || workers.length === 0) return null;
  const batchFrames = Math.max(1, job.batchSize ?? 1);
  const scoring = scoringSeconds(progress, { left, rate, batchFrames });
  const split = splitSeconds(progress);
  const afterSplit = split === 0 ? 0 : split + Math.min(batchFrames, left) / rate;
  return {
    framesPerSecond: rate * workers.length,
    secondsLeft: Math.max(scoring, afterSplit) + join,
  };
}

/** Frames per second of one worker. */
function rateOf(samples: WorkSamples, expectedRate: number | null): number | null {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined) return expectedRate;
  const seconds = last.workerSeconds - first.workerSeconds;
  const frames = last.framesDone - first.framesDone;
  if (seconds <= 0 || frames <= 0) return expectedRate;
  return expectedRate === null
    ? frames / seconds
    : (frames + expectedRate * PRIOR_SECONDS) / (seconds + PRIOR_SECONDS);
}

interface ScoringLeft {
  readonly left: number;
  readonly rate: number;
  readonly batchFrames: number;
}

/** Deals the batches that no worker has to the worker that is free first. */
function scoringSeconds({ workers, nowMs }: Progress, { left, rate, batchFrames }: ScoringLeft): number {
  const inHand = workers.reduce((sum, { framesLeft }) => sum + framesLeft, 0);
  const freeAt = workers.map(({ framesLeft, reportedAtMs }) =>
    Math.max(0, framesLeft / rate - Math.max(0, nowMs - reportedAtMs) / 1000),
  );
  let waiting = Math.max(0, left - inHand);
  const spread = Math.floor(waiting / batchFrames / workers.length) - BATCHES_DEALT_MAX;
  if (spread > 0) {
    for (const worker of freeAt.keys())
      freeAt[worker] = (freeAt[worker] ?? 0) + (spread * batchFrames) / rate;
    waiting -= spread * batchFrames * workers.length;
  }
  while (waiting > 0) {
    const first = freeAt.indexOf(Math.min(...freeAt));
    freeAt[first] = (freeAt[first] ?? 0) + Math.min(waiting, batchFrames) / rate;
    waiting -= batchFrames;
  }
  return Math.max(...freeAt);
}

/** Until the source is split; 0 if that is done, or its speed is not known. */
function splitSeconds({ job, times, nowMs }: Progress): number {
  if (job.splitFinished || times.splittingSinceMs === undefined || job.framesSplit === 0) return 0;
  const seconds = (nowMs - times.splittingSinceMs) / 1000;
  return ((job.framesExpected - job.framesSplit) * seconds) / job.framesSplit;
}
