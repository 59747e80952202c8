/** A job of 10,000 small frames: how its end and its calls to storage compare with the whole, and whether memory grows. */
import { processesOf } from '../../support/processes.ts';
import { BenchFleet, IDENTITY } from '../bench-fleet.ts';
import { writeClip } from '../clips.ts';
import type { Scenario } from '../scenario.ts';

const LONG = { width: 64, height: 48, frames: 10_000 };
/** Frames scored at the two measurements of memory. */
const AT_FRAMES = [500, 9_500];
/** What the tail is a part of: with a device of this speed, the job takes about as long as on one GPU. */
const DEVICE_MS = 15;
const PROGRAMS = ['producer', 'worker', 'engine'] as const;

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
      title: `Memory in use by the ${program}, between frames ${AT_FRAMES.join(' and ')}`,
      unit: 'KiB a frame',
      target: { max: 1 },
    })),
  ],
  measure: async (folder) => {
    await using fleet = await BenchFleet.openWarm(folder, { simulatedDeviceMs: DEVICE_MS });
    const clip = await writeClip(folder, LONG);
    const { producer, workers } = fleet.pids;
    const worker = workers[0] ?? 0;
    const found = await processesOf('worker/engine/main.ts');
    const engine = found.find(({ parent }) => parent === worker);
    const pids = { producer, worker, engine: engine?.pid ?? 0 };
    const measurements: {
      readonly scored: number;
      readonly kib: Record<(typeof PROGRAMS)[number], number>;
    }[] = [];
    let scoredAtMs = 0;
    const startedMs = performance.now();
    const { requests } = await fleet.run(clip, IDENTITY, async ({ frames: { scored } }) => {
      if (scored >= (AT_FRAMES[measurements.length] ?? Infinity)) {
        const [ofProducer, ofWorker, ofEngine] = [
          await fleet.liveKibOf(pids.producer),
          await fleet.liveKibOf(pids.worker),
          await fleet.liveKibOf(pids.engine),
        ];
        measurements.push({ scored, kib: { producer: ofProducer, worker: ofWorker, engine: ofEngine } });
      }
      if (scored === LONG.frames && scoredAtMs === 0) scoredAtMs = performance.now();
    });
    const endedMs = performance.now();
    const [early, late] = measurements;
    const slope = (program: (typeof PROGRAMS)[number]): number =>
      early === undefined || late === undefined
        ? Number.NaN
        : (late.kib[program] - early.kib[program]) / (late.scored - early.scored);
    return {
      tail: (endedMs - (scoredAtMs || endedMs)) / (endedMs - startedMs),
      'storage-operations': requests / LONG.frames,
      'memory-producer': slope('producer'),
      'memory-worker': slope('worker'),
      'memory-engine': slope('engine'),
    };
  },
  roundsMax: 3,
};
