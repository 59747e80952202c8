/** Every variable the scaler reads, with its unit, its default and its bounds. */
import { availableParallelism, totalmem } from 'node:os';

import { z } from 'zod';

import {
  type Environment,
  parseEnvironment,
  secondsAsMs,
  wholeNumber,
} from '../shared/runtime/environment.ts';
import { serviceVariables, storageSetting } from '../shared/runtime/service-variables.ts';

/** What a worker with its engine takes at work, on the CPU. */
const WORKER_BYTES = 1.5 * 2 ** 30;
const LOCAL_WORKERS_MAX = 4;

const variables = z.object({
  ...serviceVariables,
  FRAMEFLEET_MEDIA_STORAGE: storageSetting,
  FRAMEFLEET_SYSTEM_STORAGE: storageSetting,
  FRAMEFLEET_REDIS_URL: z.url({ protocol: /^rediss?$/ }),
  FRAMEFLEET_TICK_SECONDS: secondsAsMs({ min: 0.2, max: 300, fallback: 5 }),
  /** Never more instances than this. The default is what this machine bears: two at least, so that there is a fleet. */
  FRAMEFLEET_CAPACITY_MAX: wholeNumber({ min: 0, max: 1000, fallback: capacityOfThisMachine() }),
  /** The backlog is to be worked off within this time, as far as the capacity allows. */
  FRAMEFLEET_DRAIN_TARGET_SECONDS: secondsAsMs({ min: 1, max: 86_400, fallback: 300 }),
  /** With nothing left to do, instances are kept for so long: about what starting one costs. */
  FRAMEFLEET_IDLE_SECONDS: secondsAsMs({ min: 0, max: 86_400, fallback: 300 }),
});

/** Throws CONFIG_INVALID. */
export function scalerConfig(environment: Environment = process.env) {
  const set = parseEnvironment(variables, environment);
  return {
    logLevel: set.FRAMEFLEET_LOG_LEVEL,
    http: { host: set.FRAMEFLEET_HTTP_HOST, port: set.FRAMEFLEET_HTTP_PORT },
    mediaStorage: set.FRAMEFLEET_MEDIA_STORAGE,
    systemStorage: set.FRAMEFLEET_SYSTEM_STORAGE,
    redisUrl: set.FRAMEFLEET_REDIS_URL,
    tickMs: set.FRAMEFLEET_TICK_SECONDS,
    policy: {
      capacityMax: set.FRAMEFLEET_CAPACITY_MAX,
      drainTargetMs: set.FRAMEFLEET_DRAIN_TARGET_SECONDS,
      idleMs: set.FRAMEFLEET_IDLE_SECONDS,
    },
    /** Threads of one inference: the machine's cores, shared out. */
    inferenceThreads: Math.max(
      1,
      Math.floor(availableParallelism() / Math.max(1, set.FRAMEFLEET_CAPACITY_MAX)),
    ),
    /** Local workers are started with the same variables. */
    environment,
  };
}

function capacityOfThisMachine(): number {
  const byCores = Math.min(LOCAL_WORKERS_MAX, Math.max(2, Math.floor(availableParallelism() / 2)));
  const byMemory = Math.max(1, Math.floor((totalmem() * 0.75) / WORKER_BYTES));
  return Math.min(byCores, byMemory);
}
