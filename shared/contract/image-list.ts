/**
 * The source of a job of still images: `incoming/<jobId>/<name>.images.json`, a list of blobs in the same container. The n-th image is
 * frame n of the job. Also the endings of image files. PURE.
 */
import { z } from 'zod';

import { IMAGES_MAX, IMAGE_NAME_BYTES_MAX } from './limits.ts';
import { parseJson } from './parse-json.ts';

const imageList = z.object({
  version: z.literal(1),
  images: z
    .array(
      z.object({
        /** Under which the result is published: a path with slashes, relative to the folder that was enqueued. */
        name: z.string().min(1).max(IMAGE_NAME_BYTES_MAX),
        blobName: z.string().min(1).max(1024),
        /** Of the blob. Another version of it is not used. */
        etag: z.string().min(1),
      }),
    )
    .min(1)
    .max(IMAGES_MAX),
  /** Of an image, on average. For estimates. */
  megapixels: z.number().positive().max(1e5),
});
export type ImageList = Readonly<z.infer<typeof imageList>>;

/** Of the files that are read, by sharp's name of their format. The first is the usual one. */
export const IMAGE_ENDINGS: Readonly<Record<string, readonly string[]>> = {
  jpeg: ['.jpg', '.jpeg', '.jpe', '.jfif'],
  tiff: ['.tif', '.tiff'],
  png: ['.png'],
  webp: ['.webp'],
  avif: ['.avif'],
};

/** By its ending, in any case; undefined if it is not that of an image that is read. */
export function imageFormatOf(ending: string): string | undefined {
  const wanted = ending.toLowerCase();
  return Object.keys(IMAGE_ENDINGS).find((format) => IMAGE_ENDINGS[format]?.includes(wanted) === true);
}

/** The ending of the source's name. */
export const IMAGE_LIST_SUFFIX = '.images.json';

export function encodeImageList(list: ImageList): string {
  return JSON.stringify(list);
}

/** Undefined if the text is not a list of images. */
export function decodeImageList(text: string): ImageList | undefined {
  return imageList.safeParse(parseJson(text)).data;
}
