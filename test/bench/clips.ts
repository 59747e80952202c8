/** Clips to measure with: real footage if the folder with the data is beside the project, otherwise a moving test picture. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { ffmpeg } from '../support/media-clips.ts';

const FOOTAGE = fileURLToPath(new URL('../../../shared/data/videos/car-detection.mp4', import.meta.url));
export const HAS_FOOTAGE = existsSync(FOOTAGE);

export interface ClipShape {
  readonly width: number;
  readonly height: number;
  readonly frames: number;
  /** Frames that are shown before a key frame refer to it: it must be decoded by the producer. */
  readonly isOpen?: boolean;
}

const CLOSED = ['-c:v', 'libx264', '-preset', 'veryfast', '-crf', '20', '-g', '50'];
const OPEN = [
  '-c:v',
  'libx265',
  '-preset',
  'ultrafast',
  '-x265-params',
  'keyint=50:open-gop=1:bframes=3:log-level=error',
];

/** 25 frames/s, a key frame every two seconds. Unless it is open: H.264 with closed groups of pictures, as cameras and editors write it. */
export async function writeClip(
  folder: string,
  { width, height, frames, isOpen = false }: ClipShape,
): Promise<string> {
  const file = path.join(folder, `clip-${width}x${height}-${frames}${isOpen ? '-open' : ''}.mp4`);
  if (existsSync(file)) return file;
  const footage = ['-stream_loop', '-1', '-i', FOOTAGE, '-an', '-vf', `scale=${width}:${height}`, '-r', '25'];
  const drawn = ['-f', 'lavfi', '-i', `testsrc2=size=${width}x${height}:rate=25`];
  await ffmpeg([
    ...(HAS_FOOTAGE ? footage : drawn),
    '-frames:v',
    String(frames),
    ...(isOpen ? OPEN : CLOSED),
    '-pix_fmt',
    'yuv420p',
    '-colorspace',
    'bt709',
    '-color_range',
    'tv',
    file,
  ]);
  return file;
}
