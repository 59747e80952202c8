/** Jobs of 500 and 10,000 small frames: whether memory depends on the length, and how long the end of a job takes, how often it calls storage. */
import { BenchFleet, IDENTITY } from '../bench-fleet.ts';
import { writeClip } from '../clips.ts';
import { residentKibOf } from '../process-stat.ts';
import type { Scenario } from '../scenario.ts';

const SHORT = { width: 64, height: 48, frames: 500 };
const LONG = { width: 64, height: 48, frames: 10_000 };
/** What the tail is a part of: with a device of this speed, the job takes about as long as on one GPU. */
const DEVICE_MS = 15;
const PROGRAMS = ['producer', 'worker'] as const;
type Program = (typeof PROGRAMS)[number];

export const longJob: Scenario = {
  figures: [
    {
      name: 'tail',
      title: 'From the last scored frame to the result, 10,000 frames',
      unit: 'of the whole job',
      target: { max: 0.03 },
    },
    {
      name: 'storage-operations',
      title: 'Storage operations, 10,000 frames',
      unit: 'a frame',
      target: { max: 0.15 },
    },
    ...PROGRAMS.map((program) => ({
      name: `memory-${program}`,
      title: `Memory of the ${program} with its children, 500 and 10,000 frames`,
      unit: 'KiB a frame',
      target: { max: 1 },
    })),
  ],
  measure: async (folder) => {
    await using fleet = await BenchFleet.openWarm(folder, { simulatedDeviceMs: DEVICE_MS });
    const { producer, workers } = fleet.pids;
    const pids: Record<Program, number> = { producer, worker: workers[0] ?? 0 };
    const run = async (shape: typeof SHORT) => {
      const peakKib = { producer: 0, worker: 0 };
      let scoredAtMs = 0;
      const clip = await writeClip(folder, shape);
      const startedMs = performance.now();
      const { requests } = await fleet.run(clip, IDENTITY, async ({ frames }) => {
        for (const program of PROGRAMS)
          peakKib[program] = Math.max(peakKib[program], await residentKibOf(pids[program]));
        if (frames.scored === shape.frames && scoredAtMs === 0) scoredAtMs = performance.now();
      });
      const endedMs = performance.now();
      return { peakKib, requests, tail: (endedMs - (scoredAtMs || endedMs)) / (endedMs - startedMs) };
    };
    await run(SHORT);
    const short = await run(SHORT);
    const long = await run(LONG);
    const slope = (program: Program): number =>
      (long.peakKib[program] - short.peakKib[program]) / (LONG.frames - SHORT.frames);
    return {
      tail: long.tail,
      'storage-operations': long.requests / LONG.frames,
      'memory-producer': slope('producer'),
      'memory-worker': slope('worker'),
    };
  },
  roundsMax: 3,
};
