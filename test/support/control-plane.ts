/** The parts that the producer's loops share, on real servers: ledger, steps, metrics, and a clock that the test advances. */
import { FrameRetention } from '../../producer/jobs/frame-retention.ts';
import { Steps } from '../../producer/jobs/steps.ts';
import { producerMetrics } from '../../producer/metrics.ts';
import { JobTimes } from '../../shared/redis/job-times.ts';
import { Ledger } from '../../shared/redis/ledger.ts';
import { Spending } from '../../shared/redis/spending.ts';
import { WorkRates } from '../../shared/redis/work-rates.ts';
import { MovableClock } from './movable-clock.ts';
import { type TestRedis, startTestRedis, startTestStorage } from './servers.ts';
import { silentLog } from './silent-log.ts';
import { connect } from './test-redis.ts';

export async function startControlPlane(server: TestRedis) {
  const connections = await connect(server);
  const redis = connections.first;
  const steps = new Steps(redis, silentLog);
  return {
    redis,
    ledger: new Ledger(redis),
    steps,
    retention: new FrameRetention(redis),
    spending: new Spending(redis),
    times: new JobTimes(redis),
    workRates: new WorkRates(redis),
    clock: new MovableClock(),
    log: silentLog,
    metrics: producerMetrics(),
    [Symbol.asyncDispose]: async () => {
      await steps.close();
      connections[Symbol.dispose]();
    },
  };
}

/** A control plane with storage, on servers that are started for it. */
export async function startControlServers() {
  const [storage, server] = await Promise.all([startTestStorage(), startTestRedis()]);
  const control = await startControlPlane(server);
  return {
    storage,
    server,
    control,
    [Symbol.asyncDispose]: async () => {
      await control[Symbol.asyncDispose]();
      await Promise.all([storage[Symbol.asyncDispose](), server[Symbol.asyncDispose]()]);
    },
  };
}
export type ControlServers = Awaited<ReturnType<typeof startControlServers>>;

/** Runs passes until one returns a time to rest. */
export async function passUntilRest(pass: () => Promise<number>): Promise<void> {
  for (let passes = 0; passes < 1000; passes += 1) if ((await pass()) > 0) return;
  throw new Error('1,000 passes have run, and none returned a time to rest');
}

/** The sum over all labels. */
export async function countOfMetric(metric: {
  get(): Promise<{ values: { value: number }[] }>;
}): Promise<number> {
  return (await metric.get()).values.reduce((sum, { value }) => sum + value, 0);
}
