/**
 * `npm run enqueue VIDEO`: checks the file, uploads it and its trigger, follows the job, and writes the result beside the source. The
 * source may also be an image or a folder of images. Prints the path of the result on standard output and everything else on standard
 * error. See `enqueue/options.ts` and `enqueue/result.ts`.
 */
import { uncaughtStorageError } from '../../shared/azure/storage-errors.ts';
import { callerPath } from '../../shared/command/config.ts';
import { onInterrupt, print, runCommand } from '../../shared/command/run-command.ts';
import { openMediaStorage } from '../../shared/command/storage-accounts.ts';
import { bytesText, countedText } from '../../shared/command/text.ts';
import type { JobActual } from '../../shared/contract/job-actual.ts';
import { DEFAULT_MODEL, type JobStatus } from '../../shared/contract/job.ts';
import { systemClock as clock } from '../../shared/runtime/clock.ts';
import { EXIT, PermanentError, TransientError } from '../../shared/runtime/errors.ts';
import { listText } from '../../shared/runtime/list-text.ts';
import { watchParent } from '../../shared/runtime/watch-parent.ts';
import { readReport } from '../jobs/report.ts';
import { failureOf } from '../jobs/status.ts';
import { actualRows } from './actual-text.ts';
import { checkFleet } from './enqueue/check-fleet.ts';
import { checkModel } from './enqueue/check-model.ts';
import { type EnqueueConfig, enqueueConfig } from './enqueue/config.ts';
import { failureLines, reportedFailures } from './enqueue/failures.ts';
import { follow } from './enqueue/follow.ts';
import { keepMeasurements } from './enqueue/keep-measurements.ts';
import { type EnqueueOptions, parseEnqueueOptions } from './enqueue/options.ts';
import { NO_PROGRESS, type ProgressDisplay, showProgress } from './enqueue/progress.ts';
import { type ReachedFleet, reachFleet } from './enqueue/reach-fleet.ts';
import { type OutputPlace, placeResult, sourceNameOf, saveResult } from './enqueue/result.ts';
import { type SkippedFile, type Source, openSource } from './enqueue/source.ts';
import { submit } from './enqueue/submit.ts';
import { estimateFirst, refuseUnasked } from './estimate/estimate-first.ts';
import type { SourceEstimate } from './estimate/estimate-source.ts';

const SKIPPED_SHOWN = 3;

interface EnqueueOutcome {
  readonly jobId: string;
  readonly state: JobStatus['state'] | 'submitted';
  readonly output: string | null;
  readonly frames: number | null;
  readonly failedFrames: number;
  /** Those frames, with the reasons. */
  readonly failures: Awaited<ReturnType<typeof reportedFailures>>;
  /** Files of a folder that are not part of the job. */
  readonly skipped: readonly SkippedFile[];
  readonly warnings: readonly string[];
  /** Null if the command did not wait for the end. */
  readonly actual: JobActual | null;
  /** With `--estimate-first`. */
  readonly estimate?: SourceEstimate;
  readonly wallSeconds: number;
}

const argv = process.argv.slice(2);
const { signal: interruption, interrupt } = onInterrupt();
await runCommand(argv, main, interruption);

async function main(): Promise<number> {
  const options = parseEnqueueOptions(argv);
  if (options === null) return EXIT.ok;
  const outcome = await enqueue(options, interruption);
  if (options.asJson) print(JSON.stringify(outcome));
  else if (outcome.output !== null) print(outcome.output);
  else print(outcome.jobId);
  return EXIT.ok;
}

async function enqueue(options: EnqueueOptions, signal: AbortSignal): Promise<EnqueueOutcome> {
  refuseUnasked(options);
  const config = enqueueConfig();
  watchParent(config.environment, interrupt);
  const { videoPath, deadline, settings } = options;
  if (/^[a-z]+:\/\//.test(videoPath)) {
    throw new PermanentError('SOURCE_MISSING', `Cannot read ${videoPath}: it is a URL, not a file.`, {
      hint: 'Download the video, then pass its path.',
    });
  }
  if (deadline !== undefined && 'at' in deadline && new Date(deadline.at) <= clock.now()) {
    throw new PermanentError('USAGE', `The deadline ${deadline.at} has passed.`, {
      hint: 'Pass a later one, or a duration such as --deadline 2h.',
    });
  }
  const source: Source = options.isStored
    ? { kind: 'stored-images', prefix: videoPath }
    : await openSource(callerPath(videoPath), config.sourceLimits);
  if (source.kind !== 'video') refuseVideoOptions(options);
  // The default model returns pictures, so an output that cannot be written is reported before a fleet starts.
  const isDefaultModel = settings.model.name === DEFAULT_MODEL;
  const planned =
    isDefaultModel && !options.isDetached ? await placeResult(options, source, 'pictures') : undefined;
  const estimate =
    options.estimate === 'none' ? undefined : await estimateFirst({ options, config, source, signal });

  const startedAtMs = clock.monotonicMs();
  const progress = options.asJson ? NO_PROGRESS : showProgress();
  signal.addEventListener('abort', () => {
    progress.stop();
    progress.say('Stopping. Press Ctrl-C again to stop at once.');
  });
  try {
    if (options.checksFleet)
      await checkFleet(config, { now: clock.now(), say: (note) => progress.say(note), signal });
    await using fleet = await reachFleet(config, {
      mayStart: !options.isDetached,
      onStart: () => progress.say('Starting the fleet on this machine…'),
      signal,
    });
    const job = runJob({ options, config, fleet, source, planned, progress, signal });
    const outcome = await Promise.race([job, fleet.failure]);
    return {
      ...outcome,
      ...(estimate && { estimate }),
      wallSeconds: Math.round((clock.monotonicMs() - startedAtMs) / 100) / 10,
    };
  } finally {
    progress.stop();
  }
}

/** Still images have no codec and no container of a video. */
function refuseVideoOptions({ settings: { encoding, container, frameImages } }: EnqueueOptions): void {
  if (encoding === undefined && container === undefined && frameImages === undefined) return;
  throw new PermanentError(
    'USAGE',
    '--codec, --crf, --preset, --lossless, --encoder, --container and --frames are for videos.',
    { hint: 'Leave them out: the result of an image is an image of the same format.' },
  );
}

interface EnqueueRun {
  readonly options: EnqueueOptions;
  readonly config: EnqueueConfig;
  readonly fleet: ReachedFleet;
  readonly source: Source;
  /** Undefined if that depends on the model, or if the command does not wait for the result. */
  readonly planned: OutputPlace | undefined;
  readonly progress: ProgressDisplay;
  readonly signal: AbortSignal;
}

async function runJob(run: EnqueueRun): Promise<Omit<EnqueueOutcome, 'wallSeconds' | 'estimate'>> {
  const { options, config, fleet, source, progress, signal } = run;
  const blobs = await openMediaStorage(fleet.mediaStorage, signal);
  const result = await checkModel(fleet, options.settings);
  const planned =
    run.planned ?? (options.isDetached ? undefined : await placeResult(options, source, result));
  const skipped = source.kind === 'images' ? source.skipped : [];
  const sourceName = sourceNameOf(options);
  for (const line of uploadText(source, sourceName)) progress.say(line);
  const { jobId, imageNames } = await submit({
    blobs,
    options,
    source,
    sourceName,
    result,
    now: clock.now(),
    signal,
  });
  const nothing = {
    output: null,
    frames: null,
    failedFrames: 0,
    failures: [],
    skipped,
    warnings: [],
    actual: null,
  };
  if (planned === undefined) {
    progress.say(`The job is submitted. When it is done, fetch its result with: npm run fetch -- ${jobId}`);
    return { jobId, state: 'submitted', ...nothing };
  }
  progress.say(
    fleet.own === null
      ? `The job ${jobId} runs on the fleet. Press Ctrl-C to leave: the job continues.`
      : 'Press Ctrl-C to stop the job and its fleet.',
  );
  const following = follow({
    blobs,
    jobId,
    clock,
    pickupMs: config.pickupMs,
    onStatus: (seen) => progress.status(seen, clock.now()),
    signal,
  });
  const status = await following.catch((error: unknown) => {
    if (fleet.own !== null) throw error;
    throw signal.aborted ? interruptedDuring(jobId) : (lostDuring(jobId, error) ?? error);
  });
  progress.stop();
  const failures = status.frames.failed > 0 ? await reportedFailures(blobs, jobId, imageNames) : [];
  if (status.state !== 'completed' || status.result === null) {
    for (const line of failureLines(failures)) progress.say(line);
    throw failureOf(status);
  }
  for (const warning of status.warnings) progress.say(`Note: ${warning}`);
  if (status.frames.failed > 0) {
    const what = countedText(status.frames.failed, source.kind === 'video' ? 'frame' : 'image');
    const policy = source.kind === 'video' ? options.settings.onFailedFrame : 'each is kept as it was';
    progress.say(`Note: ${what} could not be scored (${policy}):`);
    for (const line of failureLines(failures)) progress.say(line);
  }
  const output = await saveResult({
    blobs,
    jobId,
    result: status.result,
    planned,
    fleet,
    config,
    signal,
  });
  const actual = (await readReport(blobs, jobId))?.actual ?? null;
  for (const [label, text] of actual === null ? [] : actualRows(actual)) progress.say(`${label}: ${text}`);
  await keepMeasurements(config, fleet);
  return {
    jobId,
    state: status.state,
    output,
    frames: status.frames.expected,
    failedFrames: status.frames.failed,
    failures,
    skipped,
    warnings: status.warnings,
    actual,
  };
}

/** Undefined if the error is about something else. */
function lostDuring(jobId: string, error: unknown): TransientError | undefined {
  const lost = uncaughtStorageError(error);
  return (
    lost &&
    new TransientError(lost.code, `${lost.message} The job ${jobId} goes on when its fleet does.`, {
      hint: `To follow it: npm run watch -- ${jobId}`,
      cause: error,
    })
  );
}

function interruptedDuring(jobId: string): PermanentError {
  return new PermanentError('INTERRUPTED', 'Interrupted.', {
    hint: `The job ${jobId} continues. Fetch its result with: npm run fetch -- ${jobId}`,
  });
}

function uploadText(source: Source, name: string): string[] {
  if (source.kind === 'video') return [`Uploading ${name} (${bytesText(source.video.fileSizeBytes)})…`];
  if (source.kind === 'stored-images') return [`Listing the images below incoming/${source.prefix}…`];
  const { images, skipped, sizeBytes } = source;
  return [
    ...(skipped.length === 0 ? [] : [skippedText(skipped)]),
    `Uploading ${images.length} ${images.length === 1 ? 'image' : 'images'} (${bytesText(sizeBytes)})…`,
  ];
}

function skippedText(skipped: readonly SkippedFile[]): string {
  const files = skipped.map(({ name, reason }) => `${name} (${reason})`);
  const what = skipped.length === 1 ? 'a file' : `${skipped.length} files`;
  return `Skipping ${what}: ${listText(files, SKIPPED_SHOWN)}`;
}
