/**
 * Looks at a source at the door: what video it is, or why it is none.
 *
 * Promises: within PROBE_TIME_LIMIT_MS a VideoInfo, or an error that names the file, says why and what to do: permanent,
 * but for the one of a disk that does not answer in time.
 * Nothing is decoded and no other file or address is opened (see ffmpeg.ts). Leaves to others whether all of the file
 * is there: only decoding tells (producer/media/timeline.ts).
 */
import { constants } from 'node:fs';
import { access, open, stat } from 'node:fs/promises';

import { PermanentError, describeError, errnoOf } from '../runtime/errors.ts';
import { QUESTION, readAnswer } from './ffprobe-answer.ts';
import { askFfprobe } from './ffprobe.ts';
import { findVideoStream, readVideoInfo } from './read-video-info.ts';
import { nameOf, notVideo, refusal } from './source-refusals.ts';
import { SIGNATURE_BYTES, type Signature, signatureOf } from './source-signature.ts';
import type { VideoInfo } from './video-info.ts';

export type { VideoInfo } from './video-info.ts';

/** A healthy file answers in well under a second; this is for a slow network disk. */
const PROBE_TIME_LIMIT_MS = 30_000;
/** 100 GB at 100 MB/s is 1,000 s. */
const COUNT_TIME_LIMIT_MS = 1_800_000;

export interface SourceLimits {
  readonly durationSecondsMax: number;
  /** Width times height of one frame. */
  readonly pixelsMax: number;
}

/** Throws SOURCE_MISSING, SOURCE_UNREADABLE, SOURCE_EMPTY, SOURCE_NOT_VIDEO, SOURCE_NO_PICTURE, PROGRAM_MISSING. */
export async function probeVideo(path: string): Promise<VideoInfo> {
  const name = nameOf(path);
  const { fileSizeBytes, signature } = await lookAt(path);
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
  return readVideoInfo({ answer, stream, fileSizeBytes });
}

/** How many pictures the file holds in truth, by reading all of its packets. Throws MEDIA_TOOL_FAILED. */
export async function countVideoPackets(
  path: string,
  { trackIndex }: Pick<VideoInfo, 'trackIndex'>,
): Promise<number> {
  const answer = await askFfprobe({
    path,
    question: [
      '-count_packets',
      '-select_streams',
      String(trackIndex),
      '-show_entries',
      'stream=index,nb_read_packets',
    ],
    doing: `counting the pictures of ${nameOf(path)}`,
    timeLimitMs: COUNT_TIME_LIMIT_MS,
  });
  return Number(readAnswer(answer).streams[0]?.nb_read_packets ?? 0);
}

/** PURE. Throws SOURCE_TOO_LARGE. A duration that the container does not say is not held against it. */
export function checkLimits(
  { width, height, durationSeconds }: Pick<VideoInfo, 'width' | 'height' | 'durationSeconds'>,
  { durationSecondsMax, pixelsMax }: SourceLimits,
): void {
  if (width * height > pixelsMax) {
    throw new PermanentError(
      'SOURCE_TOO_LARGE',
      `A frame of the source has ${width} x ${height} = ${width * height} pixels; at most ${pixelsMax} are allowed.`,
      { hint: 'Scale it down first: ffmpeg -i FILE -vf scale=1920:-2 NEW.mkv' },
    );
  }
  if (durationSeconds !== undefined && durationSeconds > durationSecondsMax) {
    throw new PermanentError(
      'SOURCE_TOO_LARGE',
      `The source lasts ${durationSeconds.toFixed(1)} s; at most ${durationSecondsMax} s are allowed.`,
      { hint: 'Cut it into parts first: ffmpeg -i FILE -c copy -f segment -segment_time 600 PART%03d.mkv' },
    );
  }
}

async function lookAt(path: string): Promise<{ fileSizeBytes: number; signature: Signature }> {
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
    return { fileSizeBytes: found.size, signature: signatureOf(await readHead(path)) };
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

async function readHead(path: string): Promise<Uint8Array> {
  await using file = await open(path);
  const head = Buffer.alloc(SIGNATURE_BYTES);
  const { bytesRead } = await file.read(head, 0, head.length, 0);
  return head.subarray(0, bytesRead);
}
