/** What a job costs per frame, with a model that does nothing: CPU by program, storage operations, bytes. */
import path from 'node:path';

import { BenchFleet, IDENTITY } from '../bench-fleet.ts';
import { writeClip } from '../clips.ts';
import { runPipe, transcodeCpuSeconds } from '../reference.ts';
import type { Scenario } from '../scenario.ts';

/** Not quite three minutes of video. A shorter job has shorter batches, so more decoders and encoders start for as many frames. */
const FRAMES = 4_096;
const HD = { width: 1280, height: 720, frames: FRAMES };

export const jobCosts: Scenario = {
  figures: [
    {
      name: 'all-programs',
      title: 'All programs but the emulator, identity model',
      unit: 'ratio of CPU',
      against: 'one process: ffmpeg, model, ffmpeg in pipes',
      target: { max: 1.2 },
    },
    {
      name: 'engine-media',
      title: 'Worker and engine without session.run',
      unit: 'ratio of CPU',
      against: 'ffmpeg decoding and encoding the same frames',
      target: { max: 1.25 },
    },
    {
      name: 'storage-bytes',
      title: 'Bytes in storage besides source and result',
      unit: 'ratio of bytes',
      against: 'source and result',
      target: { max: 1.2 },
    },
  ],
  measure: async (folder) => {
    const clip = await writeClip(folder, HD);
    await using fleet = await BenchFleet.openWarm(folder);
    const job = await fleet.run(clip, IDENTITY);
    const model = path.join(fleet.folder, 'models', 'identity', 'identity.onnx');
    const pipe = await runPipe({ source: clip, model, ...HD, threads: 1 });
    const { producer, worker, redis } = job.cpuSeconds;
    const { incoming = 0, results = 0, ...between } = job.bytes;
    return {
      'all-programs': (producer + worker + redis) / pipe.cpuSeconds,
      'engine-media': (worker - job.inferSeconds) / (await transcodeCpuSeconds(clip)),
      'storage-bytes': Object.values(between).reduce((sum, bytes) => sum + bytes, 0) / (incoming + results),
    };
  },
};

/** The painter on the CPU: the job is bound by the model, and everything else should hide behind it. */
export const warmJob: Scenario = {
  figures: [
    {
      name: 'warm-job',
      title: 'Warm job with the painter on the CPU, from enqueue to result',
      unit: 'ratio of wall time',
      against: 'one process: ffmpeg, model, ffmpeg in pipes',
      target: { max: 1.15 },
    },
    {
      name: 'session-idle',
      title: 'Session thread idle while work is there',
      unit: 'of wall time',
      target: { max: 0.05 },
    },
    {
      name: 'start-and-end',
      title: 'Warm job: before the first frame is scored, and after the last one',
      unit: 's',
      target: undefined,
    },
  ],
  measure: async (folder) => {
    const shape = { width: 480, height: 270, frames: 2_048 };
    const clip = await writeClip(folder, shape);
    const workerEnvironment = { FRAMEFLEET_INFERENCE_THREADS: '1' };
    await using fleet = await BenchFleet.openWarm(folder, { workerEnvironment }, []);
    const startedMs = performance.now();
    const job = await fleet.run(clip, []);
    const { spanMs, busyMs } = await fleet.sessionTimes(startedMs);
    const model = path.resolve('worker/models/painter/painter.onnx');
    const pipe = await runPipe({ source: clip, model, ...shape, threads: 1 });
    return {
      'warm-job': job.wallSeconds / pipe.wallSeconds,
      'session-idle': 1 - busyMs / spanMs,
      'start-and-end': job.wallSeconds - spanMs / 1000,
    };
  },
};
