/**
 * Tests, before any work is done, whether the result can hold the planned tracks: ffmpeg writes their first packets to a file of
 * the result's format. Tracks that it rejects are converted or omitted (`secondBest`), and so are audio tracks that are declared
 * but have no packets. A job therefore does not fail because of its audio after all frames are scored. The plan is deterministic.
 */
import { rm } from 'node:fs/promises';
import path from 'node:path';

import { addSourceInput, ffmpegCommand, fileUrl, startFfmpeg } from '../../shared/media/ffmpeg.ts';
import { countAudioTracks } from '../../shared/media/probe.ts';
import { isToolFailure } from '../../shared/media/tool-process.ts';
import type { VideoInfo } from '../../shared/media/video-info.ts';
import { type PlannedTrack, type TrackPlan, planTracks, secondBest } from './copy-plan.ts';
import { trackOptions } from './join-command.ts';
import { opusCorrections } from './opus-delay.ts';

/**
 * Some muxers read more than the first packet before they reject a track. ffmpeg ends the trial when one track has this many, so a
 * joint trial may miss a track that starts late; `workableTracks` then tries each alone.
 */
const TRIAL_PACKETS = 25;
/** A trial takes well under a second, unless a track starts late or has few packets: then the source is read up to there, or to its end. */
const CPU_SECONDS_MAX = 600;

/** A plan that ffmpeg's muxer has accepted. */
export interface WorkableTracks extends TrackPlan {
  /** Bitstream filters for copied tracks, by track index in the source. */
  readonly corrections: ReadonlyMap<number, string>;
}

export interface TrackTrial {
  readonly sourcePath: string;
  readonly video: VideoInfo;
  /** Where to write the trial file. It is removed afterwards. */
  readonly folder: string;
  readonly signal?: AbortSignal | undefined;
}

/** Throws PROGRAM_MISSING or the signal's reason. */
export async function workableTracks(trial: TrackTrial): Promise<WorkableTracks> {
  const { video } = trial;
  const corrections = await opusCorrections(trial.sourcePath, video);
  const works = (some: readonly PlannedTrack[]): Promise<boolean> => tryTracks(some, corrections, trial);
  const plan = planTracks(video);
  if (await works(plan.tracks)) return { ...plan, corrections };
  const tracks: PlannedTrack[] = [];
  const warnings = [...plan.warnings];
  for (const copied of plan.tracks) {
    let planned: PlannedTrack | undefined = copied;
    while (planned !== undefined && !(await works([planned]))) {
      const next = secondBest(planned, video.container);
      planned = next.planned;
      // If the conversion fails too, the warning that the track is omitted replaces that of the conversion.
      if (warnings.at(-1)?.startsWith(`Track ${copied.track.index} `) === true) warnings.pop();
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
  const audioCount = tracks.filter(({ track }) => track.kind === 'audio').length;
  const outputPath = path.join(folder, `tracks.${video.container}`);
  const command = addSourceInput(ffmpegCommand(), sourcePath)
    .inputOptions('-copyts')
    .output(fileUrl(outputPath))
    .outputOptions('-y', ...tracks.flatMap(({ track }) => ['-map', `0:${track.index}`]))
    .outputOptions(...trackOptions({ tracks, corrections, container: video.container, first: 0 }))
    .outputOptions(...['a', 's'].flatMap((kind) => [`-frames:${kind}`, String(TRIAL_PACKETS)]));
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
    return audioCount === 0 || (await countAudioTracks(outputPath)) === audioCount;
  } catch (error) {
    if (isToolFailure(error)) return false;
    throw error;
  } finally {
    await rm(outputPath, { force: true });
  }
}
