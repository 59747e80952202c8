/** Every variable that the scaler reads, with its unit, default and bounds. */
import { AssertionError } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';

import { z } from 'zod';

import { WORKER_BYTES_ON_CPU } from '../shared/contract/limits.ts';
import {
  type Environment,
  listSetting,
  parseEnvironment,
  secondsAsMs,
  wholeNumber,
} from '../shared/runtime/environment.ts';
import { PermanentError, describeError } from '../shared/runtime/errors.ts';
import {
  POOL_NAME,
  scaleSetsSetting,
  serviceVariables,
  storageSetting,
} from '../shared/runtime/service-variables.ts';
import { POLICY_DEFAULTS, type Policy, checkedPolicy } from './policy.ts';
import { scheduleSetting } from './schedule.ts';

const LOCAL_WORKERS_MAX = 4;
const TOKEN_CHARACTERS_MIN = 16;
const seconds = (ms: number): number => ms / 1000;

const prices = listSetting((item) => {
  const [name = '', price = ''] = item.split('=');
  const perHour = Number(price);
  return POOL_NAME.test(name) && price !== '' && perHour >= 0 ? ([name, perHour] as const) : undefined;
}, 'expected a list such as gpu-spot=0.09,gpu=0.75');

const variables = z
  .object({
    ...serviceVariables,
    FRAMEFLEET_MEDIA_STORAGE: storageSetting,
    FRAMEFLEET_SYSTEM_STORAGE: storageSetting,
    FRAMEFLEET_REDIS_URL: z.url({ protocol: /^rediss?$/ }),
    FRAMEFLEET_TICK_SECONDS: secondsAsMs({ min: 0.2, max: 300, fallback: 5 }),
    /** The leader's lease: if the leader is lost, another scaler leads after this time. */
    FRAMEFLEET_LEADER_SECONDS: secondsAsMs({ min: 3, max: 300, fallback: 15 }),
    /** The token of the control API, or a file that contains it. */
    FRAMEFLEET_SCALER_TOKEN: z.string().min(TOKEN_CHARACTERS_MIN).max(1000).optional(),
    FRAMEFLEET_SCALER_TOKEN_FILE: z.string().optional(),

    FRAMEFLEET_FLEET: z.enum(['local', 'azure']).default('local'),
    FRAMEFLEET_SUBSCRIPTION_ID: z.string().min(1).optional(),
    FRAMEFLEET_RESOURCE_GROUP: z.string().min(1).optional(),
    /** In the order in which the scaler fills them. */
    FRAMEFLEET_SCALE_SETS: scaleSetsSetting.optional(),
    /** Price of one instance per hour, by pool, in any one currency. */
    FRAMEFLEET_PRICES: prices.default([]),

    /** The upper limit of instances. Unset on a local fleet: what the machine's cores and memory allow. */
    FRAMEFLEET_CAPACITY_MAX: z.coerce.number().int().min(0).max(1000).optional(),
    FRAMEFLEET_CAPACITY_MIN: wholeNumber({ min: 0, max: 1000, fallback: POLICY_DEFAULTS.capacityMin }),
    /** Windows of time with a higher minimum of instances. */
    FRAMEFLEET_SCHEDULE: scheduleSetting.default([]),
    FRAMEFLEET_ON_DEMAND_BASE: wholeNumber({ min: 0, max: 1000, fallback: POLICY_DEFAULTS.onDemandBase }),
    FRAMEFLEET_SPENDING_PER_HOUR_MAX: z.coerce.number().min(0).optional(),
    /** The fleet is sized to finish the backlog within this time. */
    FRAMEFLEET_DRAIN_TARGET_SECONDS: secondsAsMs({
      min: 1,
      max: 86_400,
      fallback: seconds(POLICY_DEFAULTS.drainTargetMs),
    }),
    FRAMEFLEET_ENGINES_PER_INSTANCE: wholeNumber({
      min: 1,
      max: 64,
      fallback: POLICY_DEFAULTS.enginesPerInstance,
    }),
    /** The idle window before a cold start has been measured. After that the measured time counts. */
    FRAMEFLEET_IDLE_SECONDS: secondsAsMs({
      min: 0,
      max: 86_400,
      fallback: seconds(POLICY_DEFAULTS.idleMsUnmeasured),
    }),
    FRAMEFLEET_BOOT_TIMEOUT_SECONDS: secondsAsMs({
      min: 10,
      max: 7200,
      fallback: seconds(POLICY_DEFAULTS.bootTimeoutMs),
    }),
    FRAMEFLEET_HEARTBEAT_STALE_SECONDS: secondsAsMs({
      min: 5,
      max: 3600,
      fallback: seconds(POLICY_DEFAULTS.heartbeatStaleMs),
    }),
    /** The workers' lease time. A worker that is silent for several leases no longer holds a message. */
    FRAMEFLEET_LEASE_SECONDS: secondsAsMs({ min: 6, max: 3600, fallback: seconds(POLICY_DEFAULTS.leaseMs) }),
  })
  .superRefine((set, context) => {
    const missing = (name: string) =>
      context.addIssue({ code: 'custom', path: [name], message: 'expected for FRAMEFLEET_FLEET=azure' });
    if (set.FRAMEFLEET_FLEET !== 'azure') return;
    if (set.FRAMEFLEET_SUBSCRIPTION_ID === undefined) missing('FRAMEFLEET_SUBSCRIPTION_ID');
    if (set.FRAMEFLEET_RESOURCE_GROUP === undefined) missing('FRAMEFLEET_RESOURCE_GROUP');
    if (set.FRAMEFLEET_SCALE_SETS === undefined) missing('FRAMEFLEET_SCALE_SETS');
  });
type Variables = z.infer<typeof variables>;

export type ScalerConfig = Readonly<ReturnType<typeof scalerConfig>>;

/** Throws CONFIG_INVALID. */
export function scalerConfig(environment: Environment = process.env) {
  const set = parseEnvironment(variables, environment);
  const policy = policyFrom(set);
  return {
    logLevel: set.FRAMEFLEET_LOG_LEVEL,
    http: { host: set.FRAMEFLEET_HTTP_HOST, port: set.FRAMEFLEET_HTTP_PORT },
    systemStorage: set.FRAMEFLEET_SYSTEM_STORAGE,
    redisUrl: set.FRAMEFLEET_REDIS_URL,
    tickMs: set.FRAMEFLEET_TICK_SECONDS,
    leaderLeaseMs: set.FRAMEFLEET_LEADER_SECONDS,
    token: tokenFrom(set),
    fleet: fleetFrom(set),
    policy,
    /** Threads per inference of a local worker: the machine's cores divided by the maximum of workers. */
    inferenceThreads: Math.max(1, Math.floor(availableParallelism() / Math.max(1, policy.capacityMax))),
    /** The environment of local workers: the scaler's own, without the secrets that a worker must not hold. */
    workerEnvironment: {
      ...environment,
      FRAMEFLEET_REDIS_URL: undefined,
      FRAMEFLEET_SCALER_TOKEN: undefined,
      FRAMEFLEET_SCALER_TOKEN_FILE: undefined,
    },
  };
}

type FleetSettings =
  | { readonly kind: 'local' }
  | {
      readonly kind: 'azure';
      readonly subscriptionId: string;
      readonly resourceGroup: string;
      readonly scaleSets: readonly { readonly name: string; readonly kind: 'spot' | 'on-demand' }[];
    };

function fleetFrom(set: Variables): FleetSettings {
  if (set.FRAMEFLEET_FLEET === 'local') return { kind: 'local' };
  return {
    kind: 'azure',
    subscriptionId: set.FRAMEFLEET_SUBSCRIPTION_ID ?? '',
    resourceGroup: set.FRAMEFLEET_RESOURCE_GROUP ?? '',
    scaleSets: set.FRAMEFLEET_SCALE_SETS ?? [],
  };
}

function policyFrom(set: Variables): Policy {
  const isLocal = set.FRAMEFLEET_FLEET === 'local';
  const idleMs = set.FRAMEFLEET_IDLE_SECONDS;
  const leaseMs = set.FRAMEFLEET_LEASE_SECONDS;
  try {
    return checkedPolicy({
      ...POLICY_DEFAULTS,
      capacityMax:
        set.FRAMEFLEET_CAPACITY_MAX ?? (isLocal ? capacityOfThisMachine() : POLICY_DEFAULTS.capacityMax),
      capacityMin: set.FRAMEFLEET_CAPACITY_MIN,
      schedule: set.FRAMEFLEET_SCHEDULE,
      onDemandBase: set.FRAMEFLEET_ON_DEMAND_BASE,
      spendingPerHourMax: set.FRAMEFLEET_SPENDING_PER_HOUR_MAX ?? null,
      pricePerHour: Object.fromEntries(set.FRAMEFLEET_PRICES),
      drainTargetMs: set.FRAMEFLEET_DRAIN_TARGET_SECONDS,
      enginesPerInstance: set.FRAMEFLEET_ENGINES_PER_INSTANCE,
      idleMsUnmeasured: idleMs,
      idleMsMin: Math.min(idleMs, POLICY_DEFAULTS.idleMsMin),
      idleMsMax: Math.max(idleMs, POLICY_DEFAULTS.idleMsMax),
      bootTimeoutMs: set.FRAMEFLEET_BOOT_TIMEOUT_SECONDS,
      heartbeatStaleMs: set.FRAMEFLEET_HEARTBEAT_STALE_SECONDS,
      leaseMs,
      silentRemoveMs: Math.max(
        POLICY_DEFAULTS.silentRemoveMs,
        5 * leaseMs,
        2 * set.FRAMEFLEET_HEARTBEAT_STALE_SECONDS,
      ),
      // Local processes have no rate limit.
      writeEveryMs: isLocal ? 0 : POLICY_DEFAULTS.writeEveryMs,
    });
  } catch (cause) {
    if (!(cause instanceof AssertionError)) throw cause;
    throw new PermanentError('CONFIG_INVALID', `Settings contradict each other: ${cause.message}.`, {
      hint: 'See docs/settings.md for the meaning of each setting.',
      cause,
    });
  }
}

/** Null where none is set. */
function tokenFrom({ FRAMEFLEET_SCALER_TOKEN: token, FRAMEFLEET_SCALER_TOKEN_FILE: file }: Variables) {
  if (file === undefined) return token ?? null;
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw new PermanentError(
      'CONFIG_INVALID',
      `Cannot read the file in FRAMEFLEET_SCALER_TOKEN_FILE: ${describeError(cause)}.`,
      { hint: 'Set it to the path of a file that only the scaler can read.', cause },
    );
  }
  if (text.length >= TOKEN_CHARACTERS_MIN) return text;
  throw new PermanentError(
    'CONFIG_INVALID',
    `The token in FRAMEFLEET_SCALER_TOKEN_FILE has ${text.length} characters, expected at least ${TOKEN_CHARACTERS_MIN}.`,
    { hint: 'Create one with `openssl rand -hex 24`.' },
  );
}

function capacityOfThisMachine(): number {
  const byCores = Math.min(LOCAL_WORKERS_MAX, Math.max(2, Math.floor(availableParallelism() / 2)));
  const byMemory = Math.max(1, Math.floor((totalmem() * 0.75) / WORKER_BYTES_ON_CPU));
  return Math.min(byCores, byMemory);
}
