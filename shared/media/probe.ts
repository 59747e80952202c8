/**
 * Looks at a source at the door: what video it is, or why it is none.
 *
 * Promises: within PROBE_TIME_LIMIT_MS a VideoInfo, or an error that names the file, says why and what to do: permanent,
 * but for the one of a disk that does not answer in time. Nothing is decoded and no other file or address is opened (see
 * ffmpeg.ts). A file that was cut off is refused (missing-data.ts); damage in the middle is found only by decoding it.
 */
import { constants } from 'node:fs';
import { access, open, stat } from 'node:fs/promises';

import { PermanentError, describeError, errnoOf } from '../runtime/errors.ts';
import { isPictureCodecAllowed } from './codecs.ts';
import { QUESTION, readAnswer } from './ffprobe-answer.ts';
import { askFfprobe, eachLineOfFfprobe } from './ffprobe.ts';
import { missingBytes } from './missing-data.ts';
import { findVideoStream, readVideoInfo } from './read-video-info.ts';
import { nameOf, notVideo, refusal } from './source-refusals.ts';
import { SIGNATURE_BYTES, type Signature, signatureOf } from './source-signature.ts';
import type { VideoInfo } from './video-info.ts';

export type { VideoInfo } from './video-info.ts';

/** A healthy file answers in well under a second; this is for a slow network disk. */
const PROBE_TIME_LIMIT_MS = 30_000;
/** 100 GB at 100 MB/s is 1,000 s. */
const COUNT_TIME_LIMIT_MS = 1_800_000;

/** What a source may have: looked at in its header, and held while it is decoded. */
export interface SourceLimits {
  readonly framesMax: number;
  readonly durationSecondsMax: number;
  /** Width times height of one frame. */
  readonly pixelsMax: number;
}

/**
 * Throws SOURCE_MISSING, SOURCE_UNREADABLE, SOURCE_EMPTY, SOURCE_NOT_VIDEO, SOURCE_NO_PICTURE, SOURCE_TRUNCATED,
 * PROGRAM_MISSING.
 */
export async function probeVideo(path: string): Promise<VideoInfo> {
  const name = nameOf(path);
  const { fileSizeBytes, signature, missing } = await lookAt(path);
  if (signature !== 'unknown' && signature !== 'mp4') throw notVideo(name, signature);
  const answer = readAnswer(
    await askFfprobe({
      path,
      question: QUESTION,
      doing: `probing ${name}`,
      timeLimitMs: PROBE_TIME_LIMIT_MS,
    }).catch((error: unknown) => {
      throw refusal(error, { name, signature });
    }),
  );
  const stream = findVideoStream(answer);
  if (stream === undefined) {
    throw new PermanentError(
      'SOURCE_NO_PICTURE',
      `${name} has no picture track: there is nothing to score.`,
      {
        hint: 'Give a file with a picture track; cover art does not count as one.',
      },
    );
  }
  if (stream.width < 1 || stream.height < 1 || stream.codec_name === undefined) {
    throw new PermanentError(
      'SOURCE_NOT_VIDEO',
      `${name} has a picture track whose codec or size cannot be told.`,
      {
        hint: 'Play it to see whether it is whole, then convert it: ffmpeg -i FILE -c:v libx264 -crf 12 NEW.mkv',
      },
    );
  }
  if (!isPictureCodecAllowed(stream.codec_name)) {
    throw new PermanentError(
      'SOURCE_NOT_VIDEO',
      `The picture of ${name} is encoded as ${stream.codec_name}, which is not decoded here: its decoder is not among the common ones.`,
      { hint: 'Convert it first: ffmpeg -i FILE -c:v libx264 -crf 12 NEW.mkv' },
    );
  }
  if (missing > 0) throw cutOff(name, missing);
  return readVideoInfo({ answer, stream, fileSizeBytes });
}

/**
 * How many frames the file holds, by reading all of its packets and decoding none. Packets that are empty, or hidden by an edit
 * list, are no frames. Throws MEDIA_TOOL_FAILED.
 */
export async function countVideoPackets(
  path: string,
  { trackIndex }: Pick<VideoInfo, 'trackIndex'>,
): Promise<number> {
  let count = 0;
  await eachLineOfFfprobe(
    {
      path,
      question: ['-select_streams', String(trackIndex), '-show_entries', 'packet=size,flags'],
      doing: `counting the frames of ${nameOf(path)}`,
      timeLimitMs: COUNT_TIME_LIMIT_MS,
    },
    (line) => {
      const [size, flags = ''] = line.split(',');
      if (Number(size) > 0 && !flags.includes('D')) count += 1;
    },
  );
  return count;
}

/**
 * PURE. Throws SOURCE_TOO_LARGE where the header says that the source is beyond a limit. A header that says nothing, or declares
 * more than the file has bytes for, is not held against the source: the limits are held while it is decoded, too.
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
      `A frame of the source has ${width} x ${height} = ${width * height} pixels; at most ${pixelsMax} are allowed.`,
      { hint: 'Scale it down first: ffmpeg -i FILE -vf scale=1920:-2 NEW.mkv' },
    );
  }
  const isBelievable = Math.round(durationSeconds * framesPerSecond) <= frameCountExpected;
  if (durationSeconds > durationSecondsMax && isBelievable) {
    throw tooLong(`lasts ${durationSeconds.toFixed(1)} s`, `${durationSecondsMax} s`);
  }
  if (frameCountExpected > framesMax) {
    throw tooLong(`has ${frameCountExpected} frames`, String(framesMax));
  }
}

/** A source that is longer than a limit allows, by its header or while it is decoded. */
export function tooLong(found: string, allowed: string): PermanentError {
  return tooLarge(`The source ${found}; at most ${allowed} are allowed.`);
}

/** SOURCE_TOO_LARGE, with the advice to cut the source into parts. */
export function tooLarge(message: string): PermanentError {
  return new PermanentError('SOURCE_TOO_LARGE', message, {
    hint: 'Cut it into parts first, for example: ffmpeg -ss 0 -t 600 -i FILE -c:v libx264 -crf 12 PART1.mkv',
  });
}

function cutOff(name: string, missing: number): PermanentError {
  return new PermanentError(
    'SOURCE_TRUNCATED',
    `${name} was cut off: at least ${missing} bytes of its media data are missing.`,
    {
      hint: 'Copy or download it again. To go on with what is there: ffmpeg -i FILE -c:v libx264 -crf 12 NEW.mkv',
    },
  );
}

async function lookAt(
  path: string,
): Promise<{ fileSizeBytes: number; signature: Signature; missing: number }> {
  const name = nameOf(path);
  try {
    const found = await stat(path);
    if (!found.isFile()) {
      throw new PermanentError('SOURCE_UNREADABLE', `${name} is not a file but a directory or a device.`, {
        hint: 'Give the path of one video file.',
      });
    }
    await access(path, constants.R_OK);
    if (found.size === 0) {
      throw new PermanentError('SOURCE_EMPTY', `${name} is empty (0 bytes).`, {
        hint: 'See whether its download or copy has finished, and fetch it again.',
      });
    }
    await using file = await open(path);
    const head = Buffer.alloc(SIGNATURE_BYTES);
    const { bytesRead } = await file.read(head, 0, head.length, 0);
    return {
      fileSizeBytes: found.size,
      signature: signatureOf(head.subarray(0, bytesRead)),
      missing: await missingBytes(file, found.size),
    };
  } catch (error) {
    if (error instanceof PermanentError) throw error;
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') {
      throw new PermanentError('SOURCE_MISSING', `There is no file ${name} at ${JSON.stringify(path)}.`, {
        hint: 'Check the path; a name with spaces or a leading dash needs quotes or ./ in front.',
      });
    }
    throw new PermanentError('SOURCE_UNREADABLE', `${name} cannot be read: ${describeError(error)}.`, {
      hint: 'Check who may read the file and its directories (ls -l).',
      cause: error,
    });
  }
}
