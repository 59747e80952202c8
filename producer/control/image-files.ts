/** Which files are still images that a job takes, and why others are refused. For `enqueue` and the page. PURE. */
import path from 'node:path';

import { imageFormatOf } from '../../shared/contract/image-list.ts';
import { IMAGES_MAX, IMAGE_PIXELS_MAX } from '../../shared/contract/limits.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';

/** Files that a user may take for an image, and that are not read. */
const OTHER_IMAGE_ENDINGS = new Set(
  [
    'bmp',
    'cr2',
    'cr3',
    'dng',
    'exr',
    'gif',
    'heic',
    'heif',
    'ico',
    'jp2',
    'jxl',
    'nef',
    'pdf',
    'psd',
    'svg',
  ].map((ending) => `.${ending}`),
);
const IMAGE_HINT = 'Convert it to JPEG, PNG, WebP, TIFF or AVIF first.';

export function isImageName(name: string): boolean {
  return imageFormatOf(path.extname(name)) !== undefined;
}

/** Throws SOURCE_NOT_IMAGE for a file that is an image by its name, but of a format that is not read. */
export function refuseOtherImage(name: string): void {
  const ending = path.extname(name).toLowerCase();
  if (!OTHER_IMAGE_ENDINGS.has(ending)) return;
  throw new PermanentError(
    'SOURCE_NOT_IMAGE',
    `Cannot use ${name}: ${ending.slice(1).toUpperCase()} files are not supported.`,
    { hint: ending === '.gif' ? 'Convert it to a video (MP4) or to PNG first.' : IMAGE_HINT },
  );
}

/** `megapixels` is undefined if the file is no image. Throws SOURCE_EMPTY, SOURCE_NOT_IMAGE or SOURCE_TOO_LARGE. */
export function checkedMegapixels(name: string, sizeBytes: number, megapixels: number | undefined): number {
  if (sizeBytes === 0)
    throw new PermanentError('SOURCE_EMPTY', `${name} is empty (0 bytes).`, {
      hint: 'Copy or export the file again.',
    });
  if (megapixels === undefined) throw notAnImage(name);
  if (megapixels * 1e6 > IMAGE_PIXELS_MAX)
    throw new PermanentError(
      'SOURCE_TOO_LARGE',
      `${name} has ${Math.round(megapixels)} megapixels. The limit is ${Math.round(IMAGE_PIXELS_MAX / 1e6)}.`,
      { hint: 'Make it smaller, or cut it into parts.' },
    );
  return megapixels;
}

export function notAnImage(name: string): PermanentError {
  return new PermanentError('SOURCE_NOT_IMAGE', `Cannot use ${name}: it is not an image, or it is damaged.`, {
    hint: IMAGE_HINT,
  });
}

/** Throws SOURCE_TOO_LARGE. */
export function refuseTooManyImages(count: number): void {
  if (count <= IMAGES_MAX) return;
  throw new PermanentError(
    'SOURCE_TOO_LARGE',
    `There are ${count} images; a job takes ${IMAGES_MAX} at most.`,
    { hint: 'Enqueue them in several folders.' },
  );
}
