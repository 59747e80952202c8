/**
 * `npm run enqueue VIDEO`: checks the file, uploads it and its trigger, follows the job, and writes the result beside the source. The
 * source may also be an image or a folder of images. If
 * the result cannot be written there, it is kept: see `enqueue/keep-result.ts`. Prints the path of the result on standard output
 * and everything else on standard error. See `enqueue/options.ts`.
 */
import path from 'node:path';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { onInterrupt, print, runCommand } from '../../shared/command/run-command.ts';
import { openMediaStorage } from '../../shared/command/storage-accounts.ts';
import { leafOf, safeSourceName } from '../../shared/contract/blob-names.ts';
import type { JobStatus } from '../../shared/contract/job.ts';
import { systemClock as clock } from '../../shared/runtime/clock.ts';
import { EXIT, PermanentError } from '../../shared/runtime/errors.ts';
import { watchParent } from '../../shared/runtime/watch-parent.ts';
import { failureOf } from '../jobs/status.ts';
import { checkFleet } from './enqueue/check-fleet.ts';
import { enqueueConfig } from './enqueue/config.ts';
import { follow } from './enqueue/follow.ts';
import { keepFolder, keepResult } from './enqueue/keep-result.ts';
import { type EnqueueOptions, parseEnqueueOptions } from './enqueue/options.ts';
import { NO_PROGRESS, type ProgressDisplay, showProgress } from './enqueue/progress.ts';
import { type ReachedFleet, reachFleet } from './enqueue/reach-fleet.ts';
import { type Source, openSource } from './enqueue/source.ts';
import { submit } from './enqueue/submit.ts';
import { type OutputPlan, type OutputRequest, planOutput } from './output-path.ts';
import { resultLabel } from './result-label.ts';
import { planFolder, saveImages } from './save-images.ts';
import { resultInStorage, saveOutput } from './save-output.ts';

interface EnqueueOutcome {
  readonly jobId: string;
  readonly state: JobStatus['state'] | 'submitted';
  readonly output: string | null;
  readonly frames: number | null;
  readonly failedFrames: number;
  readonly warnings: readonly string[];
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
  const startedAtMs = clock.monotonicMs();
  const config = enqueueConfig();
  watchParent(config.environment, interrupt);
  const { videoPath, deadline } = options;
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
  const sourcePath = path.resolve(config.callerFolder, options.isStored ? lastPart(videoPath) : videoPath);
  const source: Source = options.isStored
    ? { kind: 'stored-images', prefix: videoPath }
    : await openSource(sourcePath, config.sourceLimits);
  if (source.kind !== 'video' && options.settings.frameImages !== undefined)
    throw new PermanentError('USAGE', '--frames is for videos: the results of images are images.', {
      hint: 'Leave out --frames.',
    });
  const { outputPath, mayReplace } = options;
  const asLines = outputPath?.toLowerCase().endsWith('.ndjson') === true ? 'ndjson' : undefined;
  const request = {
    sourcePath: options.isStored ? undefined : sourcePath,
    outputPath: outputPath === undefined ? undefined : path.resolve(config.callerFolder, outputPath),
    defaultFolder: path.dirname(sourcePath),
    stem: hasFolder(source) ? path.basename(sourcePath) : path.parse(sourcePath).name,
    label: resultLabel(options.settings),
    container:
      asLines ??
      (source.kind === 'video'
        ? (options.settings.container ?? source.video.container)
        : path.extname(sourcePath).slice(1).toLowerCase()),
    mayReplace,
  };
  const isFolder = hasFolder(source) && asLines === undefined;
  const output = options.isDetached
    ? undefined
    : {
        request,
        plan: isFolder ? { path: await planFolder(request), mayReplace } : await planOutput(request),
      };

  const progress = options.asJson ? NO_PROGRESS : showProgress();
  signal.addEventListener('abort', () => {
    progress.stop();
    progress.say('Stopping. Press Ctrl-C again to stop at once.');
  });
  try {
    if (options.checksFleet)
      await checkFleet(config, { now: clock.now(), say: (note) => progress.say(note), signal });
    if (config.mediaStorage === undefined && !options.isDetached)
      progress.say('Starting the fleet on this machine…');
    await using fleet = await reachFleet(config, { mayStart: !options.isDetached, signal });
    const job = runJob({ options, config, fleet, source, sourcePath, output, progress, signal });
    const outcome = await Promise.race([job, fleet.failure]);
    return { ...outcome, wallSeconds: Math.round((clock.monotonicMs() - startedAtMs) / 100) / 10 };
  } finally {
    progress.stop();
  }
}

interface EnqueueRun {
  readonly options: EnqueueOptions;
  readonly config: ReturnType<typeof enqueueConfig>;
  readonly fleet: ReachedFleet;
  readonly source: Source;
  readonly sourcePath: string;
  /** Undefined if the command does not wait for the result. */
  readonly output: { readonly request: OutputRequest; readonly plan: OutputPlan } | undefined;
  readonly progress: ProgressDisplay;
  readonly signal: AbortSignal;
}

async function runJob(run: EnqueueRun): Promise<Omit<EnqueueOutcome, 'wallSeconds'>> {
  const { options, config, fleet, source, sourcePath, output, progress, signal } = run;
  const blobs = await openMediaStorage(fleet.mediaStorage, signal);
  const sourceName = path.basename(sourcePath);
  for (const line of uploadText(source, sourceName)) progress.say(line);
  const jobId = await submit({
    blobs,
    options,
    source,
    sourceName,
    now: clock.now(),
    signal,
  });
  if (output === undefined) {
    progress.say(`The job is submitted. When it is done, fetch its result with: npm run fetch -- ${jobId}`);
    return { jobId, state: 'submitted', output: null, frames: null, failedFrames: 0, warnings: [] };
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
    onStatus: (seen) => progress.status(seen, clock.monotonicMs()),
    signal,
  });
  const status = await following.catch((error: unknown) => {
    throw signal.aborted && fleet.own === null ? interruptedDuring(jobId) : error;
  });
  if (status.state !== 'completed' || status.result === null) throw failureOf(status);
  progress.stop();
  for (const warning of status.warnings) progress.say(`Note: ${warning}`);
  if (status.frames.failed > 0)
    progress.say(
      `Note: ${status.frames.failed} frames could not be scored (${options.settings.onFailedFrame}).`,
    );
  const written = await writeResult(blobs, jobId, status.result, run);
  return {
    jobId,
    state: status.state,
    output: written,
    frames: status.frames.expected,
    failedFrames: status.frames.failed,
    warnings: status.warnings,
  };
}

function interruptedDuring(jobId: string): PermanentError {
  return new PermanentError('INTERRUPTED', 'Interrupted.', {
    hint: `The job ${jobId} continues. Fetch its result with: npm run fetch -- ${jobId}`,
  });
}

/** Whether the result is a folder, unless it is lines of numbers. */
function hasFolder(source: Source): boolean {
  return source.kind === 'stored-images' || (source.kind === 'images' && source.isFolder);
}

/** Of a prefix in storage: `shoot-1` of `2026/shoot-1/`. */
function lastPart(prefix: string): string {
  return safeSourceName(leafOf(prefix));
}

function sizeText(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function uploadText(source: Source, name: string): string[] {
  if (source.kind === 'video') return [`Uploading ${name} (${sizeText(source.video.fileSizeBytes)})…`];
  if (source.kind === 'stored-images') return [`Listing the images below incoming/${source.prefix}…`];
  const { images, skipped, sizeBytes } = source;
  const others = skipped.length > 3 ? `${skipped.slice(0, 3).join(', ')} and others` : skipped.join(', ');
  return [
    ...(skipped.length === 0
      ? []
      : [
          `Skipping ${skipped.length === 1 ? 'a file that is not an image' : `${skipped.length} files that are not images`}: ${others}`,
        ]),
    `Uploading ${images.length} ${images.length === 1 ? 'image' : 'images'} (${sizeText(sizeBytes)})…`,
  ];
}

/** Returns the path of the result. Throws OUTPUT_NOT_WRITABLE, which says where the result is kept. */
async function writeResult(
  blobs: BlobStore,
  jobId: string,
  result: NonNullable<JobStatus['result']>,
  { output, source, fleet, config, signal }: EnqueueRun,
): Promise<string> {
  if (output === undefined) throw new TypeError('expected a place for the result');
  const { request, plan: planned } = output;
  let { blobName } = result;
  if (blobName.endsWith('/') && hasFolder(source))
    return writeFolder(blobs, jobId, blobName, planned.path, { fleet, config, signal });
  if (blobName.endsWith('/')) {
    for await (const { name } of blobs.list('results', { prefix: blobName, signal })) blobName = name;
  }
  const stored = resultInStorage(blobs, jobId, { ...result, blobName });
  const container = path.extname(blobName).slice(1);
  const isAsPlanned = container.toLowerCase() === request.container.toLowerCase();
  try {
    // Only the fleet knows whether a model returns pictures or numbers.
    const plan = isAsPlanned ? planned : await planOutput({ ...request, container });
    await saveOutput(stored, plan, signal);
    return plan.path;
  } catch (error) {
    if (!(error instanceof PermanentError) || !['OUTPUT_NOT_WRITABLE', 'USAGE'].includes(error.code))
      throw error;
    throw await keepResult({
      refusal: error,
      stored,
      blobName,
      fileName: isAsPlanned ? path.basename(planned.path) : `${path.parse(planned.path).name}.${container}`,
      ownFleet: fleet.own,
      localFolder: config.localFolder,
      signal,
    });
  }
}

async function writeFolder(
  blobs: BlobStore,
  jobId: string,
  prefix: string,
  folder: string,
  { fleet, config, signal }: Pick<EnqueueRun, 'fleet' | 'config' | 'signal'>,
): Promise<string> {
  try {
    await saveImages(blobs, prefix, folder, signal);
    return folder;
  } catch (error) {
    if (!(error instanceof PermanentError) || error.code !== 'OUTPUT_NOT_WRITABLE') throw error;
    throw await keepFolder({ refusal: error, jobId, ownFleet: fleet.own, localFolder: config.localFolder });
  }
}
