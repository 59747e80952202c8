/** PURE. The errors for files that cannot be used as a source: what the file seems to be, and what its owner can do. */
import { basename } from 'node:path';

import { PermanentError } from '../runtime/errors.ts';
import { rejectedDecoder } from './codecs.ts';
import type { Signature } from './source-signature.ts';

const DESCRIPTIONS = {
  playlist: 'is a playlist: it lists other files and contains no video',
  picture: 'is an image or an animated image, not a video',
  sound: 'is an audio file, not a video',
  text: 'is a text file, not a video',
} as const;

/** For a file whose first bytes show that it is not a video. */
export function notVideoError(name: string, signature: keyof typeof DESCRIPTIONS): PermanentError {
  return new PermanentError(
    signature === 'sound' ? 'SOURCE_NO_PICTURE' : 'SOURCE_NOT_VIDEO',
    `${name} ${DESCRIPTIONS[signature]}.`,
    {
      hint:
        signature === 'picture'
          ? 'Pass a video file. You can convert an animated image: ffmpeg -i FILE -c:v libx264 -crf 12 -pix_fmt yuv420p NEW.mp4'
          : 'Pass a video file, such as .mp4, .mov, .mkv, .webm, .avi or .ts.',
    },
  );
}

/**
 * Turns a failure of ffprobe into an error for the owner of the file; returns other errors unchanged. ffprobe reports the
 * cause only in its message, and prints the same for a file that merely has the name .mp4 as for one that is truncated. The
 * signature distinguishes these.
 */
export function probeRefusal(error: unknown, name: string, signature: Signature): unknown {
  if (!(error instanceof PermanentError) || error.code !== 'MEDIA_TOOL_FAILED') return error;
  if (signature === 'mp4' && error.message.includes('moov atom not found')) {
    return new PermanentError(
      'SOURCE_NOT_VIDEO',
      `Cannot open ${name}: its index (moov) is missing. The file is probably truncated.`,
      {
        hint: 'Copy or download it again. If this is the only copy, a repair tool such as untrunc may rebuild the index.',
        cause: error,
      },
    );
  }
  const decoder = rejectedDecoder(error.message);
  if (decoder !== undefined) {
    return new PermanentError(
      'SOURCE_NOT_VIDEO',
      `${name} has a track in the format ${decoder}, which is not supported.`,
      {
        hint: 'Convert it: ffmpeg -i FILE -map 0:V -map 0:a? -c:v libx264 -crf 12 -c:a flac NEW.mkv',
        cause: error,
      },
    );
  }
  return new PermanentError('SOURCE_NOT_VIDEO', `${name} is not a video, or its format is not supported.`, {
    hint: 'Check that the file plays. If it does, convert it: ffmpeg -i FILE -c:v libx264 -crf 12 NEW.mkv',
    cause: error,
  });
}

/** The file name in quotes, so that a line break or an escape sequence in it cannot forge a log line. */
export function quotedName(path: string): string {
  return JSON.stringify(basename(path));
}
