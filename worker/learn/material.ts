/**
 * What the painter learns from, as plain images in a folder: the picture whose style it learns (`style.png`), and scenes to paint
 * (`scenes/`), from the user's photos or video and from the sample video. Everything is checked before training starts.
 */
import { mkdir, readFile, readdir, stat } from 'node:fs/promises';
import path from 'node:path';

import { addSourceInput, ffmpegCommand, startFfmpeg } from '../../shared/media/ffmpeg.ts';
import { probeVideo } from '../../shared/media/probe.ts';
import { PermanentError, describeError, errnoOf } from '../../shared/runtime/errors.ts';
import { SCAN_PIXELS_MAX, UnreadableImageError, copyPicture, openImage } from '../engine/picture.ts';

/** Of the shorter side, in pixels. Strokes of a picture with fewer are a blur, and more than in a frame are out of scale. */
const STYLE_SIDE_MIN = 160;
const STYLE_SIDE_MAX = 512;
/** Standard deviation of the most varied channel, from 0 to 255. A photo of plain paper has about 3. */
const DEVIATION_MIN = 5;
/** Of the shorter side of a scene: enough for crops of several sizes. */
const SCENE_SIDE_MAX = 720;
/** More photos would take longer to prepare than they are worth in minutes of training. */
const PHOTOS_MAX = 120;
/** Evenly spread over a video. */
const FRAMES_OF_OWN_VIDEO = 24;
const FRAMES_OF_SAMPLE = 10;
/** With fewer pictures than this, the scenes of the sample are added, for variety. */
const PHOTOS_ENOUGH = 12;
/** For a frame of 8K that is decoded from the key frame before it. */
const FRAME_CPU_SECONDS_MAX = 120;

export interface Material {
  readonly stylePath: string;
  readonly scenesFolder: string;
  /** Of the user's photos, or frames of the user's video. */
  readonly ownCount: number;
  /** Names of files in the folder of photos that cannot be read. */
  readonly skipped: readonly string[];
}

export interface MaterialRequest {
  readonly picturePath: string;
  /** A folder of images, an image, or a video. Null: only the sample. */
  readonly photosPath: string | null;
  readonly samplePath: string;
  /** Is created. */
  readonly folder: string;
  readonly signal: AbortSignal;
}

/** Throws SOURCE_MISSING, SOURCE_UNREADABLE, SOURCE_EMPTY, PICTURE_INVALID, and for a video the errors of `probeVideo`. */
export async function prepareMaterial(request: MaterialRequest): Promise<Material> {
  const { picturePath, photosPath, samplePath, folder, signal } = request;
  const stylePath = path.join(folder, 'style.png');
  const scenesFolder = path.join(folder, 'scenes');
  await mkdir(scenesFolder, { recursive: true });
  await copyStyle(picturePath, stylePath);
  const own =
    photosPath === null
      ? { count: 0, skipped: [] }
      : await copyOwn(photosPath, path.join(scenesFolder, 'own'), signal);
  if (own.count < PHOTOS_ENOUGH)
    await copyFrames(samplePath, path.join(scenesFolder, 'sample'), FRAMES_OF_SAMPLE, signal);
  return { stylePath, scenesFolder, ownCount: own.count, skipped: own.skipped };
}

async function copyStyle(file: string, to: string): Promise<void> {
  const bytes = await readBytes(file);
  const hint =
    'Pass an image of the painting: JPEG, PNG, WebP, TIFF or AVIF, of at most 268 megapixels. To learn from a frame of a video: ffmpeg -ss 5 -i VIDEO -frames:v 1 FRAME.png';
  const refuse = (why: string, what = hint, cause?: unknown): PermanentError =>
    new PermanentError('PICTURE_INVALID', `Cannot learn a style from ${file}: ${why}.`, {
      hint: what,
      cause,
    });
  try {
    const { size } = await openImage(bytes, SCAN_PIXELS_MAX);
    const [width, height] = [size.width, size.height];
    if (Math.min(width, height) < STYLE_SIDE_MIN)
      throw refuse(
        `it has ${width} x ${height} pixels, too few to show strokes`,
        `Pass a larger image: at least ${STYLE_SIDE_MIN} pixels on both sides, better ${STYLE_SIDE_MAX}.`,
      );
    const { deviation } = await copyPicture(bytes, to, STYLE_SIDE_MAX);
    if (deviation < DEVIATION_MIN)
      throw refuse('it has one colour all over', 'Pass an image of a painting with several colours.');
  } catch (error) {
    if (error instanceof UnreadableImageError) throw refuse(describeError(error), hint, error);
    throw error;
  }
}

async function readBytes(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT')
      throw new PermanentError('SOURCE_MISSING', `Cannot find ${file}.`, { hint: 'Check the path.', cause });
    const why = errnoOf(cause) === 'EISDIR' ? 'it is a folder' : describeError(cause);
    throw new PermanentError('SOURCE_UNREADABLE', `Cannot read ${file}: ${why}.`, {
      hint: 'Pass the path of an image.',
      cause,
    });
  }
}

interface OwnScenes {
  readonly count: number;
  readonly skipped: readonly string[];
}

async function copyOwn(photosPath: string, prefix: string, signal: AbortSignal): Promise<OwnScenes> {
  const found = await stat(photosPath).catch((cause: unknown) => {
    throw new PermanentError('SOURCE_MISSING', `Cannot find ${photosPath}: ${describeError(cause)}.`, {
      hint: 'Pass a folder of photos or a video to --photos, or leave it out.',
    });
  });
  if (found.isDirectory()) return copyPhotos(photosPath, prefix, signal);
  try {
    await copyPicture(await readBytes(photosPath), `${prefix}.jpg`, SCENE_SIDE_MAX);
    return { count: 1, skipped: [] };
  } catch (error) {
    if (!(error instanceof UnreadableImageError)) throw error;
  }
  const count = await copyFrames(photosPath, prefix, FRAMES_OF_OWN_VIDEO, signal);
  return { count, skipped: [] };
}

async function copyPhotos(folder: string, prefix: string, signal: AbortSignal): Promise<OwnScenes> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map(({ name }) => name);
  const chosen = evenly(names.toSorted(), PHOTOS_MAX);
  const skipped: string[] = [];
  for (const [index, name] of chosen.entries()) {
    signal.throwIfAborted();
    try {
      const bytes = await readFile(path.join(folder, name));
      await copyPicture(bytes, `${prefix}-${index}.jpg`, SCENE_SIDE_MAX);
    } catch (error) {
      if (!(error instanceof UnreadableImageError)) throw error;
      skipped.push(name);
    }
  }
  const count = chosen.length - skipped.length;
  if (count > 0) return { count, skipped };
  throw new PermanentError('SOURCE_EMPTY', `There is no image in the folder ${folder}.`, {
    hint: 'Pass a folder with JPEG, PNG, WebP, TIFF or AVIF files, a video, or leave out --photos.',
  });
}

/** Writes frames that are evenly spread over a video. Returns their number. */
async function copyFrames(
  videoPath: string,
  prefix: string,
  count: number,
  signal: AbortSignal,
): Promise<number> {
  const { trackIndex, durationSeconds = 0 } = await probeVideo(videoPath);
  const side = `min(${SCENE_SIDE_MAX},min(iw,ih))`;
  let written = 0;
  for (let index = 0; index < count; index += 1) {
    const at = (durationSeconds * (index + 0.5)) / count;
    const to = `${prefix}-${index}.jpg`;
    const command = addSourceInput(ffmpegCommand(), videoPath)
      .inputOptions('-ss', at.toFixed(3))
      .videoFilters(`scale=w='if(gt(iw,ih),-2,${side})':h='if(gt(iw,ih),${side},-2)':flags=area`)
      .output(to)
      .outputOptions('-map', `0:${trackIndex}`, '-an', '-sn', '-dn', '-frames:v', '1', '-q:v', '2', '-y');
    const limits = { cpuSecondsMax: FRAME_CPU_SECONDS_MAX };
    const activity = `reading a frame of ${path.basename(videoPath)}`;
    await startFfmpeg({ command, activity, stdin: 'none', stdout: 'none', limits, signal }).finished;
    // Behind the last frame, ffmpeg succeeds and writes nothing.
    const hasFrame = await stat(to).then(
      () => true,
      () => false,
    );
    if (hasFrame) written += 1;
  }
  if (written > 0) return written;
  throw new PermanentError('SOURCE_NO_PICTURE', `No frame of ${videoPath} can be read.`, {
    hint: 'Check that the video plays, or pass a folder of photos.',
  });
}

function evenly<T>(all: readonly T[], max: number): T[] {
  if (all.length <= max) return [...all];
  return Array.from({ length: max }, (_, index) => all[Math.floor((index * all.length) / max)] as T);
}
