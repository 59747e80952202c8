/** PURE. Why a file is refused, in words for its owner: what it seems to be, and what to do about it. */
import { basename } from 'node:path';

import { PermanentError } from '../runtime/errors.ts';
import type { Signature } from './source-signature.ts';

const SEEMS = {
  playlist: 'is a playlist: it names other files and holds no video itself',
  picture: 'is a single picture, not a video',
  sound: 'is a sound file, not a video',
  text: 'is text, not a video',
} as const;

/** For a file whose first bytes already tell. */
export function notVideo(name: string, signature: keyof typeof SEEMS): PermanentError {
  return new PermanentError(
    signature === 'sound' ? 'SOURCE_NO_PICTURE' : 'SOURCE_NOT_VIDEO',
    `${name} ${SEEMS[signature]}.`,
    { hint: 'Give a video file, such as an .mp4, .mov, .mkv, .webm, .avi or .ts.' },
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
  return new PermanentError('SOURCE_NOT_VIDEO', `${name} is not a video that can be read here.`, {
    hint: 'See whether it plays; if it does, put it into another container: ffmpeg -i FILE -c copy NEW.mkv',
    cause: error,
  });
}

/** Quoted, so that a name with a line break or an escape sequence cannot forge a line of a log. */
export function nameOf(path: string): string {
  return JSON.stringify(basename(path));
}
