/** Every variable the producer reads, with its unit, its default and its bounds. */
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';

import { z } from 'zod';

import { FRAMES_MAX } from '../shared/contract/limits.ts';
import {
  type Environment,
  parseEnvironment,
  secondsAsMs,
  wholeNumber,
} from '../shared/runtime/environment.ts';
import { serviceVariables, storageSetting } from '../shared/runtime/service-variables.ts';

const KEEP_SECONDS_MAX = 10 * 365 * 86_400;

const variables = z.object({
  ...serviceVariables,
  FRAMEFLEET_MEDIA_STORAGE: storageSetting,
  FRAMEFLEET_SYSTEM_STORAGE: storageSetting,
  FRAMEFLEET_REDIS_URL: z.url({ protocol: /^rediss?$/ }),
  /** Room for the source and the result of each job in progress. */
  FRAMEFLEET_WORK_FOLDER: z.string().default(path.join(tmpdir(), 'framefleet')),
  /** How much of it may be used; unset: what is free at the start. */
  FRAMEFLEET_WORK_BYTES_MAX: z.coerce
    .number()
    .int()
    .min(1)
    .max(2 ** 50)
    .optional(),
  /** How often incoming is scanned for triggers that no event told of, and `control` for failures to try again. */
  FRAMEFLEET_INTAKE_SCAN_SECONDS: secondsAsMs({ min: 0.2, max: 3600, fallback: 30 }),
  /** A batch without progress for so long is sent again, whatever became of its message: ten times its target. */
  FRAMEFLEET_RESEND_SECONDS: secondsAsMs({ min: 5, max: 86_400, fallback: 300 }),
  /** The frames of a job that completed without failures are kept for so long. */
  FRAMEFLEET_KEEP_FRAMES_SECONDS: secondsAsMs({ min: 0, max: KEEP_SECONDS_MAX, fallback: 86_400 }),
  /** Those of a job with failures: time to look at them, and to try them again. */
  FRAMEFLEET_KEEP_FAILED_FRAMES_SECONDS: secondsAsMs({ min: 0, max: KEEP_SECONDS_MAX, fallback: 604_800 }),
  FRAMEFLEET_DURATION_SECONDS_MAX: wholeNumber({ min: 1, max: 604_800, fallback: 6 * 3600 }),
  /** 6 hours at 120 frames/s. */
  FRAMEFLEET_FRAMES_MAX: wholeNumber({ min: 1, max: FRAMES_MAX, fallback: 3_000_000 }),
  /** How long a source may take to be split, and its result to be encoded: 10 frames/s for three million frames. */
  FRAMEFLEET_STEP_SECONDS_MAX: wholeNumber({ min: 1, max: 30 * 86_400, fallback: 300_000 }),
  /** Width times height of a frame: 8K by default. */
  FRAMEFLEET_PIXELS_MAX: wholeNumber({ min: 1, max: 2 ** 28, fallback: 7680 * 4320 }),
});

/** Throws CONFIG_INVALID. */
export function producerConfig(environment: Environment = process.env) {
  const set = parseEnvironment(variables, environment);
  // All cores, all the time.
  const cpuSecondsMax = set.FRAMEFLEET_STEP_SECONDS_MAX * availableParallelism();
  return {
    logLevel: set.FRAMEFLEET_LOG_LEVEL,
    http: { host: set.FRAMEFLEET_HTTP_HOST, port: set.FRAMEFLEET_HTTP_PORT },
    mediaStorage: set.FRAMEFLEET_MEDIA_STORAGE,
    systemStorage: set.FRAMEFLEET_SYSTEM_STORAGE,
    redisUrl: set.FRAMEFLEET_REDIS_URL,
    workFolder: set.FRAMEFLEET_WORK_FOLDER,
    workBytesMax: set.FRAMEFLEET_WORK_BYTES_MAX,
    intakeScanMs: set.FRAMEFLEET_INTAKE_SCAN_SECONDS,
    resendMs: set.FRAMEFLEET_RESEND_SECONDS,
    keepFramesMs: set.FRAMEFLEET_KEEP_FRAMES_SECONDS,
    keepFailedFramesMs: set.FRAMEFLEET_KEEP_FAILED_FRAMES_SECONDS,
    sourceLimits: {
      framesMax: set.FRAMEFLEET_FRAMES_MAX,
      durationSecondsMax: set.FRAMEFLEET_DURATION_SECONDS_MAX,
      pixelsMax: set.FRAMEFLEET_PIXELS_MAX,
      wallSecondsMax: set.FRAMEFLEET_STEP_SECONDS_MAX,
      cpuSecondsMax,
    },
    /** A stitch waits for its frames, but ffmpeg uses no processor time while it waits. */
    stitchCpuSecondsMax: cpuSecondsMax,
  };
}
