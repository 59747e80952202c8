/**
 * Checks a source before any work starts: returns what video it is, or rejects it.
 *
 * Within the time limit of `ffprobe.ts` it returns a VideoInfo or throws an error that names the file, the reason and the next step. The
 * error is permanent unless the disk did not respond in time. Nothing is decoded, and no other file or address is opened (see
 * `ffmpeg.ts`). A truncated file is rejected (`missing-data.ts`); damage in the middle is found only by decoding.
 */
import { constants } from 'node:fs';
import { access, open, stat } from 'node:fs/promises';

import { PermanentError, describeError, errnoOf } from '../runtime/errors.ts';
import { isPictureCodecAllowed } from './codecs.ts';
import { PROBE_FIELDS, parseFfprobeOutput } from './ffprobe-output.ts';
import { WHOLE_FILE_TIME_LIMIT_MS, forEachFfprobeLine, queryFfprobe } from './ffprobe.ts';
import { countMissingBytes } from './missing-data.ts';
import { findVideoStream, readVideoInfo } from './read-video-info.ts';
import { notVideoError, probeRefusal, quotedName } from './source-refusals.ts';
import { SIGNATURE_BYTES, type Signature, signatureOf } from './source-signature.ts';
import type { VideoInfo } from './video-info.ts';

export type { VideoInfo } from './video-info.ts';

/** The limits of a source: checked in its header, and enforced while it is decoded. */
export interface SourceLimits {
  readonly framesMax: number;
  readonly durationSecondsMax: number;
  /** Width times height of one frame. */
  readonly pixelsMax: number;
}

/**
 * `shownAs` is the name of the file in errors, if the user knows it by another. Throws SOURCE_MISSING, SOURCE_UNREADABLE, SOURCE_EMPTY,
 * SOURCE_NOT_VIDEO, SOURCE_NO_PICTURE, SOURCE_TRUNCATED, PROGRAM_MISSING.
 */
export async function probeVideo(path: string, shownAs = path): Promise<VideoInfo> {
  const name = quotedName(shownAs);
  const { fileSizeBytes, signature, bytesMissing } = await inspectFile(path, name);
  if (signature !== 'unknown' && signature !== 'mp4') throw notVideoError(name, signature);
  const output = parseFfprobeOutput(
    await queryFfprobe({
      input: path,
      fields: PROBE_FIELDS,
      activity: `probing ${name}`,
    }).catch((error: unknown) => {
      throw probeRefusal(error, name, signature);
    }),
  );
  const stream = findVideoStream(output);
  if (stream === undefined) {
    throw new PermanentError(
      'SOURCE_NO_PICTURE',
      `${name} has no video track, so there are no frames to score.`,
      { hint: 'Pass a file with a video track. Cover art does not count as video.' },
    );
  }
  if (stream.width < 1 || stream.height < 1 || stream.codec_name === undefined) {
    throw new PermanentError(
      'SOURCE_NOT_VIDEO',
      `Cannot determine the codec or the frame size of the video track of ${name}.`,
      { hint: 'Check that the file plays, then convert it: ffmpeg -i FILE -c:v libx264 -crf 12 NEW.mkv' },
    );
  }
  if (!isPictureCodecAllowed(stream.codec_name)) {
    throw new PermanentError(
      'SOURCE_NOT_VIDEO',
      `The video track of ${name} uses the codec ${stream.codec_name}, which is not supported.`,
      { hint: 'Convert it first: ffmpeg -i FILE -c:v libx264 -crf 12 NEW.mkv' },
    );
  }
  if (bytesMissing > 0) throw truncatedError(name, bytesMissing);
  return readVideoInfo(output, stream, fileSizeBytes);
}

/**
 * Counts the frames of a file by reading all of its packets without decoding them. Packets that are empty or hidden by an edit
 * list do not count. Throws MEDIA_TOOL_FAILED.
 */
export async function countVideoPackets(
  path: string,
  { trackIndex }: Pick<VideoInfo, 'trackIndex'>,
): Promise<number> {
  let count = 0;
  await forEachFfprobeLine(
    {
      input: path,
      fields: ['-select_streams', String(trackIndex), '-show_entries', 'packet=size,flags'],
      activity: `counting the frames of ${quotedName(path)}`,
      timeLimitMs: WHOLE_FILE_TIME_LIMIT_MS,
    },
    (line) => {
      const [size, flags = ''] = line.split(',');
      if (Number(size) > 0 && !flags.includes('D')) count += 1;
    },
  );
  return count;
}

/** Counts the audio tracks of a file that ffmpeg has written. Throws MEDIA_TOOL_FAILED. */
export async function countAudioTracks(path: string): Promise<number> {
  let count = 0;
  await forEachFfprobeLine(
    {
      input: path,
      fields: ['-select_streams', 'a', '-show_entries', 'stream=index'],
      activity: `counting the audio tracks of ${quotedName(path)}`,
    },
    () => (count += 1),
  );
  return count;
}

/**
 * PURE. Throws SOURCE_TOO_LARGE if the header declares a source beyond a limit. A header that declares nothing, or more than
 * the file has bytes for, does not count against the source: the limits are also enforced while it is decoded.
 */
export function checkLimits(
  video: Pick<VideoInfo, 'width' | 'height' | 'durationSeconds' | 'framesPerSecond' | 'frameCountExpected'>,
  limits: SourceLimits,
): void {
  const { width, height, durationSeconds = 0, framesPerSecond, frameCountExpected = 0 } = video;
  const { framesMax, durationSecondsMax, pixelsMax } = limits;
  if (width * height > pixelsMax) {
    throw new PermanentError(
      'SOURCE_TOO_LARGE',
      `A frame of the source has ${width} x ${height} = ${width * height} pixels; the limit is ${pixelsMax}.`,
      { hint: 'Scale it down first: ffmpeg -i FILE -vf scale=1920:-2 NEW.mkv' },
    );
  }
  const isBelievable = Math.round(durationSeconds * framesPerSecond) <= frameCountExpected;
  if (durationSeconds > durationSecondsMax && isBelievable) {
    throw tooLongError(`lasts ${durationSeconds.toFixed(1)} s`, `${durationSecondsMax} s`);
  }
  if (frameCountExpected > framesMax) {
    throw tooLongError(`has ${frameCountExpected} frames`, String(framesMax));
  }
}

/** For a source that is longer than a limit, according to its header or when it is decoded. */
export function tooLongError(found: string, limit: string): PermanentError {
  return tooLargeError(`The source ${found}; the limit is ${limit}.`);
}

/** SOURCE_TOO_LARGE, with the hint to split the source into parts. */
export function tooLargeError(message: string): PermanentError {
  return new PermanentError('SOURCE_TOO_LARGE', message, {
    hint: 'Split it into parts first, for example: ffmpeg -ss 0 -t 600 -i FILE -c:v libx264 -crf 12 PART1.mkv',
  });
}

function truncatedError(name: string, bytesMissing: number): PermanentError {
  return new PermanentError(
    'SOURCE_TRUNCATED',
    `${name} is truncated: at least ${bytesMissing} bytes of its media data are missing.`,
    {
      hint: 'Copy or download it again. To use the part that is there: ffmpeg -i FILE -c:v libx264 -crf 12 NEW.mkv',
    },
  );
}

interface FileInspection {
  readonly fileSizeBytes: number;
  readonly signature: Signature;
  readonly bytesMissing: number;
}

/** Reads what the file system, the first bytes and the structure of the file show. */
async function inspectFile(path: string, name: string): Promise<FileInspection> {
  try {
    const found = await stat(path);
    if (!found.isFile()) {
      throw new PermanentError('SOURCE_UNREADABLE', `${name} is a directory or a device, not a file.`, {
        hint: 'Pass the path of a video file.',
      });
    }
    await access(path, constants.R_OK);
    if (found.size === 0) {
      throw new PermanentError('SOURCE_EMPTY', `${name} is empty (0 bytes).`, {
        hint: 'Check whether the copy or download has finished, or copy the file again.',
      });
    }
    await using file = await open(path);
    const head = Buffer.alloc(SIGNATURE_BYTES);
    const { bytesRead } = await file.read(head, 0, head.length, 0);
    return {
      fileSizeBytes: found.size,
      signature: signatureOf(head.subarray(0, bytesRead)),
      bytesMissing: await countMissingBytes(file, found.size),
    };
  } catch (error) {
    if (error instanceof PermanentError) throw error;
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') {
      throw new PermanentError(
        'SOURCE_MISSING',
        `Cannot find ${name}: there is no file at ${JSON.stringify(path)}.`,
        {
          hint: 'Check the path.',
        },
      );
    }
    throw new PermanentError('SOURCE_UNREADABLE', `Cannot read ${name}: ${describeError(error)}.`, {
      hint: 'Check the permissions of the file and its directories (ls -l).',
      cause: error,
    });
  }
}
