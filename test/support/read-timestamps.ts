/**
 * A process that reads the timestamps of a video that lasts days, as split does, and stores them for stitch. It prints what came back
 * and how much memory that took. Usage: read-timestamps.ts FRAME_COUNT
 */
import { setImmediate as turn } from 'node:timers/promises';

import { FramecrcReader } from '../../producer/media/framecrc.ts';
import {
  checkTimeline,
  crowdedFrames,
  decodeTimeline,
  durationSeconds,
  encodeTimeline,
} from '../../producer/media/timeline.ts';

const LINES_A_PIECE = 800;
const frameCount = Number(process.argv[2]);

const reader = new FramecrcReader();
reader.push('#tb 0: 1/1000\n');
for (let frameIndex = 0; frameIndex < frameCount; frameIndex += LINES_A_PIECE) {
  let piece = '';
  for (let next = frameIndex; next < Math.min(frameIndex + LINES_A_PIECE, frameCount); next += 1)
    piece += `0, ${next * 33}, ${next * 33 + (next % 3)}, 33, 14291, 0xd02a425e, S=1, 8\n`;
  reader.push(piece);
  await turn();
}
const timeline = decodeTimeline(encodeTimeline(checkTimeline(reader.end())));
const rate = { framesPerSecond: 30 };
process.stdout.write(
  JSON.stringify({
    frames: timeline.pts.length,
    lastTick: timeline.pts.at(-1),
    seconds: Math.round(durationSeconds(timeline, rate)),
    crowded: crowdedFrames(timeline, rate),
    residentKibMax: process.resourceUsage().maxRSS,
  }),
);
