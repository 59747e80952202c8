/**
 * Cuts a source into pieces: packets are copied, nothing is decoded. Each piece is a NUT file, which keeps what a decoder needs of any
 * codec, and can be read from a pipe.
 *
 * Yields each piece when it is complete, so that it can be uploaded while the next is written. ffmpeg does not wait for that: the disk
 * must have room for a copy of the whole track.
 */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';

import { addSourceInput, ffmpegCommand, fileUrl, startFfmpeg } from '../../shared/media/ffmpeg.ts';
import type { VideoInfo } from '../../shared/media/video-info.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';

export interface CutRequest {
  readonly sourcePath: string;
  readonly video: Pick<VideoInfo, 'trackIndex'>;
  /** The first frame of each piece, ascending from 0: key frames. */
  readonly pieceStarts: readonly number[];
  /** Where the pieces are written. Created if needed; the caller removes it. */
  readonly folder: string;
  /** Summed over all threads of ffmpeg. */
  readonly cpuSecondsMax: number;
  readonly signal?: AbortSignal | undefined;
}

/** Yields the path of each piece, in order. Throws MEDIA_TOOL_FAILED or the signal's reason. */
export async function* cutPieces(request: CutRequest): AsyncGenerator<string, void> {
  const { sourcePath, video, pieceStarts, folder, cpuSecondsMax, signal } = request;
  const stop = new AbortController();
  await mkdir(folder, { recursive: true });
  const cuts = pieceStarts.slice(1);
  const ffmpeg = startFfmpeg({
    command: addSourceInput(ffmpegCommand(), sourcePath)
      .output(fileUrl(path.join(folder, '%08d.nut')))
      .outputOptions('-map', `0:${video.trackIndex}`, '-c', 'copy', '-fflags', '+bitexact')
      .outputOptions('-f', 'segment', '-segment_format', 'nut', '-segment_list', 'pipe:1')
      .outputOptions('-segment_list_type', 'flat')
      // Without cuts, one piece that never ends.
      .outputOptions(
        ...(cuts.length > 0 ? ['-segment_frames', cuts.join(',')] : ['-segment_time', '1000000000']),
      ),
    activity: 'cutting the source into pieces',
    stdin: 'none',
    stdout: 'pipe',
    limits: { cpuSecondsMax },
    signal: signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]),
  });
  let count = 0;
  try {
    // Not readline: if this is left early, nobody would handle the error of the broken pipe.
    let partial = '';
    for await (const text of ffmpeg.stdout.setEncoding('utf8')) {
      const names = (partial + (text as string)).split('\n');
      partial = names.pop() ?? '';
      for (const name of names) {
        count += 1;
        yield path.join(folder, path.basename(name));
      }
    }
    await ffmpeg.finished;
    if (count !== pieceStarts.length) throw countsDiffer(pieceStarts.length, count);
  } catch (error) {
    // The error of ffmpeg explains more than the pipe that it broke.
    await ffmpeg.finished;
    throw error;
  } finally {
    stop.abort();
    await ffmpeg.finished.catch(() => undefined);
  }
}

function countsDiffer(expected: number, found: number): PermanentError {
  return new PermanentError(
    'MEDIA_TOOL_FAILED',
    `The source was cut into ${found} pieces, expected ${expected}.`,
    {
      hint: 'Report this error with the container and the codec of the source.',
    },
  );
}
