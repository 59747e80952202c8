/** Whether a fast device is kept busy, and whether a job is as fast as its fleet is large. The device is simulated. */
import { BenchFleet, IDENTITY } from '../bench-fleet.ts';
import { writeClip } from '../clips.ts';
import type { Scenario, Values } from '../scenario.ts';

const HD = { width: 1280, height: 720, frames: 360 };
/** The device is this much slower than everything else together. */
const SLOWER = 1.5;

const SMALL = { width: 64, height: 48, frames: 3_200 };
/** Long enough that two cores bear eight engines. */
const SMALL_DEVICE_MS = 40;
const ENGINES = [1, 2, 4, 8] as const;

export const deviceBusy: Scenario = {
  figures: [
    {
      name: 'device-busy',
      title: 'Device busy at 1280×720, device 1.5 times slower than the rest',
      unit: 'of the time from its first to its last frame',
      target: { min: 0.95 },
    },
  ],
  measure: async (folder) => {
    const clip = await writeClip(folder, HD);
    const pipelineMs = await pipelineCost(folder, clip);
    await using fleet = await BenchFleet.openWarm(folder, { simulatedDeviceMs: SLOWER * pipelineMs });
    const startedMs = performance.now();
    await fleet.run(clip, IDENTITY);
    const { spanMs, busyMs } = await fleet.sessionTimes(startedMs);
    return { 'device-busy': busyMs / spanMs };
  },
};

/** Wall ms a frame of the worker when the device takes no time. */
async function pipelineCost(folder: string, clip: string): Promise<number> {
  await using fleet = await BenchFleet.openWarm(folder);
  const startedMs = performance.now();
  await fleet.run(clip, IDENTITY);
  return (await fleet.sessionTimes(startedMs)).spanMs / HD.frames;
}

export const engines: Scenario = {
  figures: ENGINES.slice(1).map((count) => ({
    name: `engines-${count}`,
    title: `Scoring on ${count} engines, simulated device`,
    unit: 'times faster',
    against: '1 engine',
    target: { min: 0.9 * count },
  })),
  measure: async (folder) => {
    const clip = await writeClip(folder, SMALL);
    const spans = new Map<number, number>();
    for (const count of ENGINES) {
      await using fleet = await BenchFleet.openWarm(folder, {
        workers: count,
        simulatedDeviceMs: SMALL_DEVICE_MS,
      });
      const startedMs = performance.now();
      await fleet.run(clip, IDENTITY);
      spans.set(count, (await fleet.sessionTimes(startedMs)).spanMs);
    }
    const alone = spans.get(1) ?? 0;
    const values: Values = Object.fromEntries(
      ENGINES.slice(1).map((count) => [`engines-${count}`, alone / (spans.get(count) ?? 0)]),
    );
    return values;
  },
  roundsMax: 3,
};
