/** PURE. Why a file is refused, in words for its owner: what it seems to be, and what to do about it. */
import { basename } from 'node:path';

import { PermanentError } from '../runtime/errors.ts';
import { notAllowedDecoder } from './codecs.ts';
import type { Signature } from './source-signature.ts';

const SEEMS = {
  playlist: 'is a playlist: it names other files and holds no video itself',
  picture: 'is a picture or an animated picture, not a video',
  sound: 'is a sound file, not a video',
  text: 'is text, not a video',
} as const;

/** For a file whose first bytes already tell. */
export function notVideo(name: string, signature: keyof typeof SEEMS): PermanentError {
  return new PermanentError(
    signature === 'sound' ? 'SOURCE_NO_PICTURE' : 'SOURCE_NOT_VIDEO',
    `${name} ${SEEMS[signature]}.`,
    {
      hint:
        signature === 'picture'
          ? 'Give a video file. An animated picture can be converted: ffmpeg -i FILE -c:v libx264 -crf 12 -pix_fmt yuv420p NEW.mp4'
          : 'Give a video file, such as an .mp4, .mov, .mkv, .webm, .avi or .ts.',
    },
  );
}

/**
 * What ffprobe's failure means to the owner of the file. Its words are all it offers to tell one case from another, and
 * of a file that is merely called .mp4 it says the same as of one that was cut off: hence the signature.
 */
export function refusal(
  error: unknown,
  { name, signature }: { readonly name: string; readonly signature: Signature },
): unknown {
  if (!(error instanceof PermanentError) || error.code !== 'MEDIA_TOOL_FAILED') return error;
  if (signature === 'mp4' && error.message.includes('moov atom not found')) {
    return new PermanentError(
      'SOURCE_NOT_VIDEO',
      `${name} cannot be opened: its index (moov) is missing, so it was probably cut off.`,
      {
        hint: 'Copy or download it again; if this is the only copy, a repair tool such as untrunc may rebuild the index.',
        cause: error,
      },
    );
  }
  const decoder = notAllowedDecoder(error.message);
  if (decoder !== undefined) {
    return new PermanentError(
      'SOURCE_NOT_VIDEO',
      `${name} has a track in the format ${decoder}, which is not decoded here: it is not among the common ones.`,
      {
        hint: 'Convert it: ffmpeg -i FILE -map 0:V -map 0:a? -c:v libx264 -crf 12 -c:a flac NEW.mkv',
        cause: error,
      },
    );
  }
  return new PermanentError('SOURCE_NOT_VIDEO', `${name} is not a video that can be read here.`, {
    hint: 'Check that it plays. If it does, convert it: ffmpeg -i FILE -c:v libx264 -crf 12 NEW.mkv',
    cause: error,
  });
}

/** Quoted, so that a name with a line break or an escape sequence cannot forge a line of a log. */
export function nameOf(path: string): string {
  return JSON.stringify(basename(path));
}
