/**
 * `npm run enqueue VIDEO`: checks the file, uploads it and then its trigger, follows the job, and puts the result beside the
 * source. The result's path goes to standard output; everything else to standard error. See `enqueue/options.ts`.
 */
import path from 'node:path';

import { type BlobStore, openBlobStore } from '../shared/azure/blob-store.ts';
import { BRISK, PATIENT, storageAccount } from '../shared/azure/credentials.ts';
import { reachStorage } from '../shared/azure/storage-errors.ts';
import { onInterrupt, print, runCommand } from '../shared/command/run-command.ts';
import type { JobStatus } from '../shared/contract/job.ts';
import { type VideoInfo, checkLimits, probeVideo } from '../shared/media/probe.ts';
import { systemClock as clock } from '../shared/runtime/clock.ts';
import { EXIT, PermanentError, errorCodeFrom } from '../shared/runtime/errors.ts';
import { watchParent } from '../shared/runtime/watch-parent.ts';
import { checkFleet } from './enqueue/check-fleet.ts';
import { enqueueConfig } from './enqueue/config.ts';
import { follow } from './enqueue/follow.ts';
import { type EnqueueOptions, parseOptions } from './enqueue/options.ts';
import { download, planOutput } from './enqueue/output.ts';
import { NO_PROGRESS, type Progress, showProgress } from './enqueue/progress.ts';
import { type ReachedFleet, reachFleet } from './enqueue/reach-fleet.ts';
import { submit } from './enqueue/submit.ts';

interface Outcome {
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
process.exitCode = await runCommand(argv, main, interruption);
// What a library still keeps open (connections, timers) must not keep the shell waiting.
process.exit();

async function main(): Promise<number> {
  const options = parseOptions(argv);
  if (options === null) return EXIT.ok;
  const outcome = await enqueue(options, interruption);
  if (options.asJson) print(JSON.stringify(outcome));
  else if (outcome.output !== null) print(outcome.output);
  else print(outcome.jobId);
  return EXIT.ok;
}

async function enqueue(options: EnqueueOptions, signal: AbortSignal): Promise<Outcome> {
  const startedAtMs = clock.monotonicMs();
  const config = enqueueConfig();
  watchParent({ environment: config.environment, onGone: interrupt });
  const sourcePath = path.resolve(config.callerFolder, options.videoPath);
  const video = await probeVideo(sourcePath);
  checkLimits(video, config.sourceLimits);
  const { model, parameters } = options.settings;
  const label = parameters['style']?.replace(/[^a-z0-9-]+/g, '-') ?? model.name;
  const outputPath = await planOutput({
    sourcePath,
    outputPath:
      options.outputPath === undefined ? undefined : path.resolve(config.callerFolder, options.outputPath),
    label,
    container: video.container,
  });

  const progress = options.asJson ? NO_PROGRESS : showProgress();
  signal.addEventListener('abort', () => {
    progress.stop();
    progress.say('Stopping. Ctrl-C again stops at once.');
  });
  try {
    if (options.looksFirst)
      await checkFleet(config, { now: clock.now(), say: (note) => progress.say(note), signal });
    if (config.mediaStorage === undefined && !options.isDetached)
      progress.say('Starting the fleet on this machine…');
    await using fleet = await reachFleet(config, { mayStart: !options.isDetached, signal });
    const unlessBroken = <T>(work: Promise<T>): Promise<T> => Promise.race([work, fleet.failure]);
    const done = await unlessBroken(
      run({ options, config, fleet, video, sourcePath, outputPath, progress, signal }),
    );
    return { ...done, wallSeconds: Math.round((clock.monotonicMs() - startedAtMs) / 100) / 10 };
  } finally {
    progress.stop();
  }
}

async function run(work: {
  readonly options: EnqueueOptions;
  readonly config: ReturnType<typeof enqueueConfig>;
  readonly fleet: ReachedFleet;
  readonly video: VideoInfo;
  readonly sourcePath: string;
  readonly outputPath: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}): Promise<Omit<Outcome, 'wallSeconds'>> {
  const { options, config, fleet, video, sourcePath, outputPath, progress, signal } = work;
  const blobs = await openStorage(fleet.mediaStorage, signal);
  const sourceName = path.basename(sourcePath);
  progress.say(`Uploading ${sourceName} (${(video.fileSizeBytes / 1e6).toFixed(1)} MB)…`);
  const jobId = await submit({
    blobs,
    options,
    sourcePath,
    sourceName,
    sizeBytes: video.fileSizeBytes,
    now: clock.now(),
    onUploaded: () => undefined,
    signal,
  });
  if (options.isDetached) {
    progress.say('The job is on its way:');
    return { jobId, state: 'submitted', output: null, frames: null, failedFrames: 0, warnings: [] };
  }
  progress.say(
    fleet.kind === 'private'
      ? 'Ctrl-C stops it all.'
      : `The job ${jobId} goes on without this command: Ctrl-C leaves it running.`,
  );
  const status = await follow({
    blobs,
    jobId,
    clock,
    pickupMs: config.pickupMs,
    onStatus: (seen) => progress.status(seen, clock.monotonicMs()),
    signal,
  });
  if (status.state !== 'completed' || status.result === null) throw failureOf(status);
  for (const warning of status.warnings) progress.say(`Note: ${warning}`);
  if (status.frames.failed > 0)
    progress.say(
      `Note: ${status.frames.failed} frames could not be scored (${options.settings.onFailedFrame}).`,
    );
  await download({ blobs, blobName: status.result.blobName, outputPath, signal });
  return {
    jobId,
    state: status.state,
    output: outputPath,
    frames: status.frames.expected,
    failedFrames: status.frames.failed,
    warnings: status.warnings,
  };
}

async function openStorage(mediaStorage: string, signal: AbortSignal): Promise<BlobStore> {
  const accounts = { media: storageAccount(mediaStorage), system: null };
  const door = await openBlobStore(accounts, BRISK);
  await reachStorage('the media storage', () => door.stat('incoming', 'reachable', { signal }));
  return openBlobStore(accounts, PATIENT);
}

/** What the job's status says, as this command's own failure. */
function failureOf({ error }: JobStatus): Error {
  return new PermanentError(
    errorCodeFrom(error?.code ?? 'INTERNAL'),
    error?.message ?? 'The job failed.',
    typeof error?.hint === 'string' ? { hint: error.hint } : {},
  );
}
