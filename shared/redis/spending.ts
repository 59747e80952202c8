/**
 * The costs of the fleet, in Redis: machine time and money per job, and under `unattributed` the costs of machines that worked
 * for no job. Of each amount, it is also known what part machines booted and what part they were idle; the rest is work. Amounts are whole
 * numbers (milliseconds, millionths of the currency), so the parts always add up to the total.
 */
import type { Redis } from 'ioredis';

const PREFIX = 'framefleet:spending:';
const MACHINE_MS = `${PREFIX}machine-ms`;
const MICROS = `${PREFIX}micros`;
const BOOT_MS = `${PREFIX}boot-ms`;
const BOOT_MICROS = `${PREFIX}boot-micros`;
const IDLE_MS = `${PREFIX}idle-ms`;
const IDLE_MICROS = `${PREFIX}idle-micros`;
const AMOUNTS = [MACHINE_MS, MICROS, BOOT_MS, BOOT_MICROS, IDLE_MS, IDLE_MICROS] as const;
const CHARGED_UP_TO = `${PREFIX}charged-up-to-ms`;
/** The oldest jobs beyond this number are combined. Job ids sort by time. */
const JOBS_MAX = 1000;

/** Machines that ran for no job: idle ones, and those that booted for a job that has ended. */
export const UNATTRIBUTED = 'unattributed';
const EARLIER_JOBS = 'earlier-jobs';

export interface Amount {
  readonly machineMs: number;
  readonly micros: number;
}

export interface SpendingSoFar {
  readonly total: Amount;
  /** The parts of the total, including `unattributed` and `earlier-jobs`. */
  readonly byJob: ReadonlyMap<string, Amount>;
  /** The time up to which machines have been charged; null before the first charge. */
  readonly chargedUpToMs: number | null;
}

/** Charges each interval once. KEYS chargedUpTo, then hashes of amounts. ARGV before (or ''), upTo, then hash, job, amount for each. */
const CHARGE = `
local before = redis.call('GET', KEYS[1]) or ''
if before ~= ARGV[1] then return 0 end
for i = 3, #ARGV, 3 do
  local key, job = KEYS[1 + tonumber(ARGV[i])], ARGV[i + 1]
  -- HINCRBY fails on a value that is not a whole number, which would block all further charges.
  local amount = redis.call('HGET', key, job)
  if amount and not string.match(amount, '^%d+$') then redis.call('HDEL', key, job) end
  redis.call('HINCRBY', key, job, ARGV[i + 2])
end
redis.call('SET', KEYS[1], ARGV[2])
return 1`;

/** Adds the amounts of jobs to another entry and removes them. KEYS hashes of amounts. ARGV that entry, then the jobs. */
const FOLD = `
for _, key in ipairs(KEYS) do
  for i = 2, #ARGV do
    local amount = redis.call('HGET', key, ARGV[i])
    if amount then
      redis.call('HINCRBY', key, ARGV[1], amount)
      redis.call('HDEL', key, ARGV[i])
    end
  end
end
return 1`;

export interface Charge {
  /** The end of the interval charged before; null for the first charge. */
  readonly sinceMs: number | null;
  readonly upToMs: number;
  readonly byJob: ReadonlyMap<string, Amount>;
  /** The parts of these amounts for machines that boot and for idle ones. */
  readonly bootByJob?: ReadonlyMap<string, Amount>;
  readonly idleByJob?: ReadonlyMap<string, Amount>;
}

/** What a job has cost so far. The parts add up to `total`. */
export interface JobSpending {
  readonly total: Amount;
  /** Machines with a batch. */
  readonly work: Amount;
  readonly boot: Amount;
  readonly idle: Amount;
}

export class Spending {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  async read(): Promise<SpendingSoFar> {
    const replies = await this.#redis.multi().hgetall(MACHINE_MS).hgetall(MICROS).get(CHARGED_UP_TO).exec();
    const [machineMs, micros, upTo] = (replies ?? []).map(([error, value]) => {
      if (error !== null) throw error;
      return value;
    });
    const [byMs, byMicros] = [machineMs, micros] as [Record<string, string>, Record<string, string>];
    const byJob = new Map(
      Object.keys(byMs).map((job) => [
        job,
        { machineMs: parseAmount(byMs[job]), micros: parseAmount(byMicros[job]) },
      ]),
    );
    return { total: sum(byJob), byJob, chargedUpToMs: typeof upTo === 'string' ? Number(upTo) : null };
  }

  /** The costs of these jobs, in the currency of the prices; 0 for an unknown job. */
  async ofJobs(jobIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
    if (jobIds.length === 0) return new Map();
    const amounts = await this.#redis.hmget(MICROS, ...jobIds);
    return new Map(jobIds.map((jobId, index) => [jobId, parseAmount(amounts[index]) / 1e6]));
  }

  /** Adds a charge. Returns false if another scaler has charged this interval already. */
  async charge({ sinceMs, upToMs, byJob, bootByJob, idleByJob }: Charge): Promise<boolean> {
    // In the order of AMOUNTS, which Lua counts from 1.
    const amounts = [byJob, bootByJob, idleByJob].flatMap((parts, index) =>
      [...(parts ?? [])].flatMap(([job, { machineMs, micros }]) => [
        [2 * index + 1, job, machineMs],
        [2 * index + 2, job, micros],
      ]),
    );
    const before = sinceMs === null ? '' : String(sinceMs);
    const keys = [CHARGED_UP_TO, ...AMOUNTS];
    const args = [before, String(upToMs), ...amounts.flat()];
    return (await this.#redis.eval(CHARGE, keys.length, ...keys, ...args)) === 1;
  }

  /** All zero for an unknown job. */
  async ofJob(jobId: string): Promise<JobSpending> {
    const replies = await this.#redis.pipeline(AMOUNTS.map((key) => ['hget', key, jobId])).exec();
    const amounts = (replies ?? []).map(([error, amount]) => {
      if (error !== null) throw error;
      return parseAmount(amount as string | null);
    });
    const [machineMs = 0, micros = 0, bootMs = 0, bootMicros = 0, idleMs = 0, idleMicros = 0] = amounts;
    return {
      total: { machineMs, micros },
      work: {
        machineMs: Math.max(0, machineMs - bootMs - idleMs),
        micros: Math.max(0, micros - bootMicros - idleMicros),
      },
      boot: { machineMs: bootMs, micros: bootMicros },
      idle: { machineMs: idleMs, micros: idleMicros },
    };
  }

  /** Combines the oldest jobs, so that the number of entries stays bounded. */
  async foldEarlierJobs(openJobs: ReadonlySet<string>): Promise<void> {
    const jobs = (await this.#redis.hkeys(MACHINE_MS)).filter(
      (job) => job !== UNATTRIBUTED && job !== EARLIER_JOBS && !openJobs.has(job),
    );
    const earliest = jobs.toSorted().slice(0, Math.max(0, jobs.length - JOBS_MAX));
    if (earliest.length > 0)
      await this.#redis.eval(FOLD, AMOUNTS.length, ...AMOUNTS, EARLIER_JOBS, ...earliest);
  }
}

/** Parses an amount that `charge` wrote; 0 for anything else. */
function parseAmount(text: string | null | undefined): number {
  const number = Number(text ?? 0);
  return Number.isSafeInteger(number) && number >= 0 ? number : 0;
}

function sum(byJob: ReadonlyMap<string, Amount>): Amount {
  const total = { machineMs: 0, micros: 0 };
  for (const { machineMs, micros } of byJob.values()) {
    total.machineMs += machineMs;
    total.micros += micros;
  }
  return total;
}
