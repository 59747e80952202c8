/** Every environment variable of the worker and its engine, with its unit, default and bounds. */
import assert from 'node:assert/strict';
import { availableParallelism, hostname, tmpdir } from 'node:os';
import path from 'node:path';

import { z } from 'zod';

import { NAME_PATTERN } from '../shared/contract/blob-names.ts';
import {
  type Environment,
  parseEnvironment,
  secondsAsMs,
  wholeNumber,
} from '../shared/runtime/environment.ts';
import { serviceVariables, storageSetting } from '../shared/runtime/service-variables.ts';

export const EXECUTION_PROVIDERS = ['tensorrt', 'cuda', 'webgpu', 'cpu'] as const;
export const PRECISIONS = ['auto', 'float32', 'float16'] as const;

const variables = z.object({
  ...serviceVariables,
  FRAMEFLEET_MEDIA_STORAGE: storageSetting,
  FRAMEFLEET_SYSTEM_STORAGE: storageSetting,
  /** The instance's id. It names the heartbeat and the drain request. */
  FRAMEFLEET_VM_ID: z.string().regex(NAME_PATTERN).default(plainHostname()),
  /** Which GPU of the instance this worker's engine uses. */
  FRAMEFLEET_GPU: wholeNumber({ min: 0, max: 63, fallback: 0 }),
  /** After this time, the batch of a killed worker becomes visible to others. Renewed at a third. */
  FRAMEFLEET_LEASE_SECONDS: wholeNumber({ min: 6, max: 3600, fallback: 60 }),
  /** An idle worker polls the queue after 0.5 s, then less and less often, up to this. */
  FRAMEFLEET_IDLE_POLL_SECONDS_MAX: secondsAsMs({ min: 0.5, max: 300, fallback: 30 }),
  FRAMEFLEET_HEARTBEAT_SECONDS: secondsAsMs({ min: 1, max: 60, fallback: 5 }),
  /** Caches models by their sha256, across restarts. */
  FRAMEFLEET_MODEL_CACHE: z.string().default(path.join(tmpdir(), 'framefleet-models')),
  /** Tested in this order. The CPU replaces a GPU only if it is listed. */
  FRAMEFLEET_EXECUTION_PROVIDERS: z
    .string()
    .default('cpu')
    .transform((list) => list.split(',').map((name) => name.trim()))
    .pipe(z.array(z.enum(EXECUTION_PROVIDERS)).min(1)),
  /** Of the model's arithmetic, if it has a file for both. `auto`: float16 on TensorRT and CUDA. */
  FRAMEFLEET_PRECISION: z.enum(PRECISIONS).default('auto'),
  /** Threads of one inference on the CPU. */
  FRAMEFLEET_INFERENCE_THREADS: wholeNumber({
    min: 1,
    max: 256,
    fallback: Math.max(1, availableParallelism() - 1),
  }),
  /** The most frames in one run of the model. */
  FRAMEFLEET_MICRO_BATCH_FRAMES_MAX: z
    .union([z.literal('auto'), z.coerce.number().int().min(1).max(64)], {
      error: 'expected auto, or a whole number from 1 to 64',
    })
    .default('auto'),
  /** An engine that computes for this long without finishing a frame is killed. At least ten times the usual time of a frame. */
  FRAMEFLEET_STUCK_SECONDS: secondsAsMs({ min: 1, max: 3600, fallback: 60 }),
  /** Time limit for loading a model. Some devices need minutes to build its graph. */
  FRAMEFLEET_MODEL_LOAD_SECONDS_MAX: secondsAsMs({ min: 5, max: 7200, fallback: 900 }),
  /** The URL of Azure's Scheduled Events. Unset: not polled. */
  FRAMEFLEET_SCHEDULED_EVENTS_URL: z.url({ protocol: /^https?$/ }).optional(),
  /** This instance's name in scheduled events (`<scale set>_<instance>`). Unset: every event counts as its own. */
  FRAMEFLEET_VM_NAME: z.string().max(128).optional(),
});

export type WorkerConfig = Readonly<ReturnType<typeof workerConfig>>;

/** Throws CONFIG_INVALID. */
export function workerConfig(environment: Environment = process.env) {
  const set = parseEnvironment(variables, environment);
  const leaseMs = set.FRAMEFLEET_LEASE_SECONDS * 1000;
  const config = {
    logLevel: set.FRAMEFLEET_LOG_LEVEL,
    http: { host: set.FRAMEFLEET_HTTP_HOST, port: set.FRAMEFLEET_HTTP_PORT },
    mediaStorage: set.FRAMEFLEET_MEDIA_STORAGE,
    systemStorage: set.FRAMEFLEET_SYSTEM_STORAGE,
    vmId: set.FRAMEFLEET_VM_ID,
    workerId: `${set.FRAMEFLEET_VM_ID}-${set.FRAMEFLEET_GPU}`,
    gpu: set.FRAMEFLEET_GPU,
    leaseSeconds: set.FRAMEFLEET_LEASE_SECONDS,
    renewEveryMs: leaseMs / 3,
    leaseCallTimeoutMs: leaseMs / 4,
    idlePollMs: { minMs: 500, maxMs: set.FRAMEFLEET_IDLE_POLL_SECONDS_MAX },
    heartbeatMs: set.FRAMEFLEET_HEARTBEAT_SECONDS,
    modelCacheFolder: set.FRAMEFLEET_MODEL_CACHE,
    executionProviders: set.FRAMEFLEET_EXECUTION_PROVIDERS,
    precision: set.FRAMEFLEET_PRECISION,
    inferenceThreads: set.FRAMEFLEET_INFERENCE_THREADS,
    microBatchFramesMax: set.FRAMEFLEET_MICRO_BATCH_FRAMES_MAX,
    engineLimits: {
      stuckMs: set.FRAMEFLEET_STUCK_SECONDS,
      loadMs: set.FRAMEFLEET_MODEL_LOAD_SECONDS_MAX,
    },
    scheduledEventsUrl: set.FRAMEFLEET_SCHEDULED_EVENTS_URL,
    vmName: set.FRAMEFLEET_VM_NAME,
    /** The engine starts with the same variables. */
    environment,
  };
  assert(
    config.renewEveryMs + config.leaseCallTimeoutMs * 2 < leaseMs,
    'a lease must be long enough for two attempts at a renewal',
  );
  return config;
}

function plainHostname(): string {
  return (
    hostname()
      .toLowerCase()
      .replace(/[^a-z0-9.-]/g, '-')
      .replace(/^[^a-z0-9]+/, '')
      .slice(0, 40) || 'worker'
  );
}
