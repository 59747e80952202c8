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

/** Of a pipe on Linux. */
const CHUNK_BYTES = 65_536;

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
  const fed = pipeline(inChunks(videoTrack), ffmpeg.stdin);
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

/** Each write wakes ffmpeg up, and most frames of a video are small. */
async function* inChunks(parts: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let waiting: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of parts) {
    waiting.push(part);
    bytes += part.length;
    if (bytes < CHUNK_BYTES) continue;
    yield Buffer.concat(waiting);
    waiting = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(waiting);
}

const PIPE_BROKEN = new Set(['EPIPE', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED']);
