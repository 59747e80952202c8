/**
 * Tries, before any work is done, whether the result can hold the tracks that are to be copied: ffmpeg writes the first packets
 * of each into a file of the result's kind. What it does not take is converted or left out (`secondBest`), and so is sound that
 * is declared but has no packets: a job does not fail over its sound once all frames are scored. The same source gives the
 * same plan each time.
 */
import { rm } from 'node:fs/promises';
import path from 'node:path';

import { addSourceInput, ffmpegCommand, fileUrl, startFfmpeg } from '../../shared/media/ffmpeg.ts';
import { forEachFfprobeLine } from '../../shared/media/ffprobe.ts';
import type { VideoInfo } from '../../shared/media/video-info.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import { type PlannedTrack, type TrackPlan, planTracks, secondBest } from './copy-plan.ts';
import { trackOptions } from './encode-command.ts';
import { opusCorrections } from './opus-delay.ts';

/** Of each track. Some muxers look at more than the first packet before they refuse one. */
const TRIED_PACKETS = 25;
/** Well under a second, unless a track begins late: then all packets before it are read. */
const CPU_SECONDS_MAX = 600;
const PROBE_TIME_LIMIT_MS = 30_000;

/** A plan that ffmpeg's muxer has taken. */
export interface WorkableTracks extends TrackPlan {
  /** Bitstream filters for tracks that are copied, by the track's index in the source. */
  readonly corrections: ReadonlyMap<number, string>;
}

export interface TrackTrial {
  readonly sourcePath: string;
  readonly video: VideoInfo;
  /** A folder for the file that is written and removed. */
  readonly folder: string;
  readonly signal?: AbortSignal | undefined;
}

/** Throws PROGRAM_MISSING or the signal's reason. */
export async function workableTracks(trial: TrackTrial): Promise<WorkableTracks> {
  const { video } = trial;
  const corrections = await opusCorrections(trial);
  const works = (some: readonly PlannedTrack[]): Promise<boolean> => tryTracks(some, corrections, trial);
  const plan = planTracks(video);
  if (await works(plan.tracks)) return { ...plan, corrections };
  const tracks: PlannedTrack[] = [];
  const warnings = [...plan.warnings];
  for (const wished of plan.tracks) {
    let planned: PlannedTrack | undefined = wished;
    while (planned !== undefined && !(await works([planned]))) {
      const next = secondBest(planned, video.container);
      planned = next.planned;
      // A conversion that fails as well is followed by the sentence that the track is left out.
      if (warnings.at(-1)?.startsWith(`Track ${wished.track.index} `) === true) warnings.pop();
      warnings.push(next.warning);
    }
    if (planned !== undefined) tracks.push(planned);
  }
  return { tracks, warnings, corrections };
}

async function tryTracks(
  tracks: readonly PlannedTrack[],
  corrections: ReadonlyMap<number, string>,
  trial: TrackTrial,
): Promise<boolean> {
  if (tracks.length === 0) return true;
  const { sourcePath, video, folder, signal } = trial;
  const outputPath = path.join(folder, `tracks.${video.container}`);
  const command = addSourceInput(ffmpegCommand(), sourcePath)
    .inputOptions('-copyts')
    .output(fileUrl(outputPath))
    .outputOptions('-y', ...tracks.flatMap(({ track }) => ['-map', `0:${track.index}`]))
    .outputOptions(...trackOptions({ tracks, corrections, container: video.container, first: 0 }))
    .outputOptions(...['a', 's', 'd'].flatMap((kind) => [`-frames:${kind}`, String(TRIED_PACKETS)]));
  try {
    const { finished } = startFfmpeg({
      command,
      activity: 'trying which tracks the result can hold',
      stdin: 'none',
      stdout: 'none',
      limits: { cpuSecondsMax: CPU_SECONDS_MAX },
      signal,
    });
    await finished;
    return (
      (await countAudioTracks(outputPath)) === tracks.filter(({ track }) => track.kind === 'audio').length
    );
  } catch (error) {
    if (error instanceof PermanentError && error.code === 'MEDIA_TOOL_FAILED') return false;
    throw error;
  } finally {
    await rm(outputPath, { force: true });
  }
}

async function countAudioTracks(file: string): Promise<number> {
  let count = 0;
  await forEachFfprobeLine(
    {
      path: file,
      fields: ['-select_streams', 'a', '-show_entries', 'stream=index'],
      activity: 'counting the audio tracks of a trial',
      timeLimitMs: PROBE_TIME_LIMIT_MS,
    },
    () => (count += 1),
  );
  return count;
}
