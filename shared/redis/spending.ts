/**
 * What the fleet has cost, in Redis: machine time and money, by job, and in `unattributed` what no job was there for. Whole numbers
 * (milliseconds, millionths of the currency), so that the parts add up to the total, always.
 */
import type { Redis } from 'ioredis';

const PREFIX = 'framefleet:spending:';
const MACHINE_MS = `${PREFIX}machine-ms`;
const MICROS = `${PREFIX}micros`;
const CHARGED_UP_TO = `${PREFIX}charged-up-to-ms`;
/** Beyond this many, the oldest jobs are counted together. Job ids sort by time. */
const JOBS_MAX = 1000;

/** Machines that ran for no job: idle, or booting for one that has ended. */
export const UNATTRIBUTED = 'unattributed';
const EARLIER_JOBS = 'earlier-jobs';

export interface Amount {
  readonly machineMs: number;
  readonly micros: number;
}

export interface SpendingSoFar {
  readonly total: Amount;
  /** Its parts, `unattributed` and `earlier-jobs` among them. */
  readonly byJob: ReadonlyMap<string, Amount>;
  /** Up to when machines have been paid for; null before the first time. */
  readonly chargedUpToMs: number | null;
}

/** KEYS machineMs, micros, chargedUpTo. ARGV before (or ''), upTo, then job, machineMs, micros for each. Nothing is charged twice. */
const CHARGE = `
local before = redis.call('GET', KEYS[3]) or ''
if before ~= ARGV[1] then return 0 end
for i = 3, #ARGV, 3 do
  for _, key in ipairs({KEYS[1], KEYS[2]}) do
    -- HINCRBY fails on anything but a whole number, and would stop every charge.
    local amount = redis.call('HGET', key, ARGV[i])
    if amount and not string.match(amount, '^%d+$') then redis.call('HDEL', key, ARGV[i]) end
  end
  redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
  redis.call('HINCRBY', KEYS[2], ARGV[i], ARGV[i + 2])
end
redis.call('SET', KEYS[3], ARGV[2])
return 1`;

/** KEYS machineMs, micros. ARGV into, then jobs. Moves their amounts to another's. */
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

export class Spending {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  async read(): Promise<SpendingSoFar> {
    const answers = await this.#redis.multi().hgetall(MACHINE_MS).hgetall(MICROS).get(CHARGED_UP_TO).exec();
    const [machineMs, micros, upTo] = (answers ?? []).map(([error, value]) => {
      if (error !== null) throw error;
      return value;
    });
    const [byMs, byMicros] = [machineMs, micros] as [Record<string, string>, Record<string, string>];
    const byJob = new Map(
      Object.keys(byMs).map((job) => [
        job,
        { machineMs: wholeNumber(byMs[job]), micros: wholeNumber(byMicros[job]) },
      ]),
    );
    return { total: sum(byJob), byJob, chargedUpToMs: typeof upTo === 'string' ? Number(upTo) : null };
  }

  /** What these jobs have spent, in the currency of the prices; 0 for a job that is not known. */
  async ofJobs(jobIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
    if (jobIds.length === 0) return new Map();
    const amounts = await this.#redis.hmget(MICROS, ...jobIds);
    return new Map(jobIds.map((jobId, index) => [jobId, wholeNumber(amounts[index]) / 1e6]));
  }

  /** Adds to each job what it cost since `sinceMs`; returns false where another scaler has charged that time already. */
  async charge({
    sinceMs,
    upToMs,
    byJob,
  }: {
    readonly sinceMs: number | null;
    readonly upToMs: number;
    readonly byJob: ReadonlyMap<string, Amount>;
  }): Promise<boolean> {
    const amounts = [...byJob].flatMap(([job, { machineMs, micros }]) => [job, machineMs, micros]);
    const before = sinceMs === null ? '' : String(sinceMs);
    const keys = [MACHINE_MS, MICROS, CHARGED_UP_TO];
    return (await this.#redis.eval(CHARGE, 3, ...keys, before, String(upToMs), ...amounts)) === 1;
  }

  /** Bounds what is kept. */
  async foldEarlierJobs(openJobs: ReadonlySet<string>): Promise<void> {
    const jobs = (await this.#redis.hkeys(MACHINE_MS)).filter(
      (job) => job !== UNATTRIBUTED && job !== EARLIER_JOBS && !openJobs.has(job),
    );
    const earliest = jobs.toSorted().slice(0, Math.max(0, jobs.length - JOBS_MAX));
    if (earliest.length > 0) await this.#redis.eval(FOLD, 2, MACHINE_MS, MICROS, EARLIER_JOBS, ...earliest);
  }
}

/** An amount as `charge` writes it; 0 for anything else, which was not written by it. */
function wholeNumber(text: string | null | undefined): number {
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
