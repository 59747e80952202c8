/**
 * Runs the ffmpeg command that writes a result, and feeds its video track to ffmpeg's stdin.
 *
 * Guarantees: memory bounded, because ffmpeg sets the pace; no partial file after a failure; the message of ffmpeg in the error.
 */
import { rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';

import { type FfmpegCommand, startFfmpeg } from '../../shared/media/ffmpeg.ts';
import type { ToolProcess } from '../../shared/media/tool-process.ts';
import { errnoOf } from '../../shared/runtime/errors.ts';

export interface ResultRun {
  readonly command: FfmpegCommand;
  /** Completes "ffmpeg failed while …". */
  readonly activity: string;
  readonly outputPath: string;
  /** Summed over all threads of ffmpeg. */
  readonly cpuSecondsMax: number;
  readonly signal?: AbortSignal | undefined;
}

/** Returns the warnings of ffmpeg. Throws MEDIA_TOOL_FAILED, the signal's reason, or the error of the video track. */
export async function writeResult(
  { command, activity, outputPath, cpuSecondsMax, signal }: ResultRun,
  videoTrack: AsyncIterable<Uint8Array>,
): Promise<readonly string[]> {
  const stop = new AbortController();
  const ffmpeg = startFfmpeg({
    command,
    activity,
    stdin: 'pipe',
    stdout: 'none',
    limits: { cpuSecondsMax },
    signal: signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]),
  });
  try {
    await feed(ffmpeg, videoTrack);
    return (await ffmpeg.finished).warnings;
  } catch (error) {
    stop.abort(error);
    await ffmpeg.finished.catch(() => {});
    await rm(outputPath, { force: true });
    throw error;
  }
}

/** Writes at ffmpeg's pace. Ends when ffmpeg ends, even while it waits for more of the track. */
async function feed(
  ffmpeg: ToolProcess<'pipe', 'none'>,
  videoTrack: AsyncIterable<Uint8Array>,
): Promise<void> {
  const fed = pipeline(videoTrack, ffmpeg.stdin);
  fed.catch(() => {});
  try {
    await Promise.race([fed, ffmpeg.finished]);
    await fed;
  } catch (error) {
    // A broken pipe means that ffmpeg has ended. Its own error is more specific.
    if (PIPE_BROKEN.has(errnoOf(error) ?? '')) await ffmpeg.finished;
    throw error;
  }
}

const PIPE_BROKEN = new Set(['EPIPE', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED']);
