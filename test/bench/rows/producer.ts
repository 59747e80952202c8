/**
 * What a job costs the producer with its children, beside a fleet that takes no time: with a real engine on two cores, the job takes so long
 * that the figure is about how often the producer looks for news.
 */
import { probeVideo } from '../../../shared/media/probe.ts';
import { BenchFleet, IDENTITY } from '../bench-fleet.ts';
import { type ClipShape, writeClip } from '../clips.ts';
import { jpegCpuSeconds } from '../reference.ts';
import type { Scenario } from '../scenario.ts';

/** Enough frames for their cost to show beside that of a job, about three core-seconds: programs that are started, and polls. */
const HD = { width: 1280, height: 720, frames: 4_096 };
const FULL_HD = { width: 1920, height: 1080, frames: 2_048 };
const DECODED = { width: 1280, height: 720, frames: 512, isOpen: true };

export const producerCosts: Scenario = {
  figures: [
    {
      name: 'producer-720',
      title: 'Producer, 1280×720, a source that can be cut',
      unit: 'core-ms a frame',
      target: { max: 1.5 },
    },
    {
      name: 'producer-1080',
      title: 'Producer, 1920×1080, a source that can be cut',
      unit: 'core-ms a frame',
      target: { max: 3 },
    },
    {
      name: 'producer-decoded',
      title: 'Producer, 1280×720, a source that must be decoded',
      unit: 'ratio of CPU',
      against: 'ffmpeg decoding it to the same JPEGs',
      target: { max: 1.5 },
    },
  ],
  measure: async (folder) => {
    await using fleet = await BenchFleet.openWarm(folder, { workers: 'instant' });
    const cpuSeconds = async (shape: ClipShape): Promise<number> => {
      const clip = await writeClip(folder, shape);
      return (await fleet.run(clip, IDENTITY)).cpuSeconds.producer;
    };
    const open = await writeClip(folder, DECODED);
    const reference = await jpegCpuSeconds(open, await probeVideo(open));
    return {
      'producer-720': ((await cpuSeconds(HD)) * 1000) / HD.frames,
      'producer-1080': ((await cpuSeconds(FULL_HD)) * 1000) / FULL_HD.frames,
      'producer-decoded': (await cpuSeconds(DECODED)) / reference,
    };
  },
};
