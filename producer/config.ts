/** Every environment variable that the producer reads, with its unit, default and bounds. */
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';

import { z } from 'zod';

import { FRAMES_MAX } from '../shared/contract/limits.ts';
import {
  type Environment,
  listSetting,
  parseEnvironment,
  secondsAsMs,
  wholeNumber,
} from '../shared/runtime/environment.ts';
import { PermanentError } from '../shared/runtime/errors.ts';
import { serviceVariables, storageSetting } from '../shared/runtime/service-variables.ts';

const TOKEN_CHARACTERS_MIN = 16;
const HOST_NAME = /^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,252}[a-zA-Z0-9])?$/;
const KEEP_SECONDS_MAX = 10 * 365 * 86_400;

const variables = z.object({
  ...serviceVariables,
  FRAMEFLEET_MEDIA_STORAGE: storageSetting,
  FRAMEFLEET_SYSTEM_STORAGE: storageSetting,
  FRAMEFLEET_REDIS_URL: z.url({ protocol: /^rediss?$/ }),
  /** Disk space for the sources of the jobs in progress, and the pieces or the result of each running step. */
  FRAMEFLEET_WORK_FOLDER: z.string().default(path.join(tmpdir(), 'framefleet')),
  /** How much of the work folder may be used. Unset: the space that is free at startup. */
  FRAMEFLEET_WORK_BYTES_MAX: z.coerce
    .number()
    .int()
    .min(1)
    .max(2 ** 50)
    .optional(),
  /** How often `incoming` is scanned for triggers without an event, and `control` for redrive requests and caps. */
  FRAMEFLEET_INTAKE_SCAN_SECONDS: secondsAsMs({ min: 0.2, max: 3600, fallback: 30 }),
  /** A batch without progress for this long is sent again. Ten times the target duration of a batch. */
  FRAMEFLEET_RESEND_SECONDS: secondsAsMs({ min: 5, max: 86_400, fallback: 300 }),
  /** How long the frames of a job are kept after it completes without failures. */
  FRAMEFLEET_KEEP_FRAMES_SECONDS: secondsAsMs({ min: 0, max: KEEP_SECONDS_MAX, fallback: 86_400 }),
  /** How long the frames of a job with failures are kept: time to inspect and redrive them. */
  FRAMEFLEET_KEEP_FAILED_FRAMES_SECONDS: secondsAsMs({ min: 0, max: KEEP_SECONDS_MAX, fallback: 604_800 }),
  FRAMEFLEET_DURATION_SECONDS_MAX: wholeNumber({ min: 1, max: 604_800, fallback: 6 * 3600 }),
  /** Default: 6 hours at 120 frames/s, rounded up. */
  FRAMEFLEET_FRAMES_MAX: wholeNumber({ min: 1, max: FRAMES_MAX, fallback: 3_000_000 }),
  /** Time limit for splitting a source. Default: three million frames at 10 frames/s. */
  FRAMEFLEET_STEP_SECONDS_MAX: wholeNumber({ min: 1, max: 30 * 86_400, fallback: 300_000 }),
  /** Width × height of a frame. Default: 8K. */
  FRAMEFLEET_PIXELS_MAX: wholeNumber({ min: 1, max: 2 ** 28, fallback: 7680 * 4320 }),
  /** The web page. `token`: people sign in with the token. `entra`: Container Apps signs them in; use it only behind Container Apps. */
  FRAMEFLEET_PAGE: z.enum(['off', 'token', 'entra']).default('off'),
  FRAMEFLEET_PAGE_TOKEN: z.string().min(TOKEN_CHARACTERS_MIN).max(1000).optional(),
  FRAMEFLEET_PAGE_HOST: z.string().default('127.0.0.1'),
  /** 0 takes any free port. */
  FRAMEFLEET_PAGE_PORT: wholeNumber({ min: 0, max: 65_535, fallback: 0 }),
  /** The names under which the page is reached, beside those of this machine. */
  FRAMEFLEET_PAGE_HOSTS: listSetting(
    (item) => (HOST_NAME.test(item) ? item.toLowerCase() : undefined),
    'expected a list of host names such as page.example.org',
  ).default([]),
  /** The page shows the fleet through the API of the scaler. Unset: it shows jobs only. */
  FRAMEFLEET_SCALER_URL: z.url({ protocol: /^https?$/ }).optional(),
  FRAMEFLEET_SCALER_TOKEN: z.string().min(1).optional(),
});

/** Throws CONFIG_INVALID. */
export function producerConfig(environment: Environment = process.env) {
  const set = parseEnvironment(variables, environment);
  // As if ffmpeg kept every core busy for the whole time limit.
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
    /** CPU time only: a slow disk or network is no fault of the result. */
    stitchCpuSecondsMax: cpuSecondsMax,
    page: pageConfig(set),
  };
}

/** Null if the page is off. Throws CONFIG_INVALID. */
function pageConfig(set: z.infer<typeof variables>) {
  const { FRAMEFLEET_PAGE: mode, FRAMEFLEET_PAGE_TOKEN: token } = set;
  if (mode === 'off') return null;
  if (mode === 'token' && token === undefined)
    throw new PermanentError(
      'CONFIG_INVALID',
      'FRAMEFLEET_PAGE is token, but FRAMEFLEET_PAGE_TOKEN is not set.',
      {
        hint: 'Set it to the output of `openssl rand -hex 24`.',
      },
    );
  const { FRAMEFLEET_SCALER_URL: url, FRAMEFLEET_SCALER_TOKEN: scalerToken } = set;
  return {
    scaler: url === undefined ? null : { url, token: scalerToken },
    signIn: mode === 'entra' ? ({ mode } as const) : ({ mode, token: token ?? '' } as const),
    address: { host: set.FRAMEFLEET_PAGE_HOST, port: set.FRAMEFLEET_PAGE_PORT },
    hosts: set.FRAMEFLEET_PAGE_HOSTS,
  };
}
