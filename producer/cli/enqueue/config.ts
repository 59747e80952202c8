/** The environment variables that `npm run enqueue` and `npm run fetch` read. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { z } from 'zod';

import { loadDotEnv } from '../../../shared/command/dot-env.ts';
import { FRAMES_MAX } from '../../../shared/contract/limits.ts';
import {
  type Environment,
  parseEnvironment,
  secondsAsMs,
  wholeNumber,
} from '../../../shared/runtime/environment.ts';
import { storageSetting } from '../../../shared/runtime/service-variables.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

const variables = z.object({
  /** Unset: the job runs on this machine. */
  FRAMEFLEET_MEDIA_STORAGE: storageSetting.optional(),
  /** Only for a check of the model before the upload. */
  FRAMEFLEET_SYSTEM_STORAGE: storageSetting.optional(),
  /** Where the local fleet keeps its storage and its results. */
  FRAMEFLEET_LOCAL_FOLDER: z.string().default(path.join(ROOT, '.framefleet')),
  FRAMEFLEET_DURATION_SECONDS_MAX: wholeNumber({ min: 1, max: 604_800, fallback: 6 * 3600 }),
  FRAMEFLEET_FRAMES_MAX: wholeNumber({ min: 1, max: FRAMES_MAX, fallback: 3_000_000 }),
  FRAMEFLEET_PIXELS_MAX: wholeNumber({ min: 1, max: 2 ** 28, fallback: 7680 * 4320 }),
  /** How long to wait for a producer to accept the job. */
  FRAMEFLEET_PICKUP_SECONDS: secondsAsMs({ min: 1, max: 86_400, fallback: 120 }),
});

export type EnqueueConfig = Readonly<ReturnType<typeof enqueueConfig>>;

/** Throws CONFIG_INVALID. */
export function enqueueConfig() {
  loadDotEnv(ROOT);
  const environment: Environment = process.env;
  const set = parseEnvironment(variables, environment);
  return {
    mediaStorage: set.FRAMEFLEET_MEDIA_STORAGE,
    systemStorage: set.FRAMEFLEET_SYSTEM_STORAGE,
    localFolder: path.resolve(set.FRAMEFLEET_LOCAL_FOLDER),
    /** The models that every fleet publishes. */
    modelFolder: path.join(ROOT, 'worker', 'models'),
    doctorProgram: path.join(ROOT, 'infra', 'doctor', 'main.ts'),
    sourceLimits: {
      framesMax: set.FRAMEFLEET_FRAMES_MAX,
      durationSecondsMax: set.FRAMEFLEET_DURATION_SECONDS_MAX,
      pixelsMax: set.FRAMEFLEET_PIXELS_MAX,
    },
    pickupMs: set.FRAMEFLEET_PICKUP_SECONDS,
    environment,
  };
}
