/** Starts the scaler: wires its parts and runs the loop (observe, decide, act), the leadership and the HTTP server. */
import { openBlobStore } from '../shared/azure/blob-store.ts';
import { BRISK, storageAccount } from '../shared/azure/credentials.ts';
import { reachStorage } from '../shared/azure/storage-errors.ts';
import { openWorkQueue } from '../shared/azure/work-queue.ts';
import { QUEUES } from '../shared/contract/storage-layout.ts';
import { Ledger } from '../shared/redis/ledger.ts';
import { connectRedis } from '../shared/redis/redis.ts';
import { Spending } from '../shared/redis/spending.ts';
import { WorkRates } from '../shared/redis/work-rates.ts';
import { systemClock as clock } from '../shared/runtime/clock.ts';
import { createHttp, listen } from '../shared/runtime/http.ts';
import { createLog } from '../shared/runtime/log.ts';
import { LoopHealth } from '../shared/runtime/loop-health.ts';
import { repeat } from '../shared/runtime/repeat.ts';
import { runService } from '../shared/runtime/service.ts';
import { controlApi } from './api/control-api.ts';
import { addGuardedRoutes } from './api/guarded-http.ts';
import { scalerConfig } from './config.ts';
import { REMOVE_GRACE_MS } from './fleet/local-processes.ts';
import { openFleet } from './fleet/open-fleet.ts';
import { TickHistory } from './history.ts';
import { Leadership } from './leader.ts';
import { scalerMetrics } from './metrics.ts';
import { BootTimes } from './observe/boot-times.ts';
import { StorageClock } from './observe/storage-clock.ts';
import { OverrideStore } from './override/store.ts';
import { RatesPublisher } from './rates.ts';
import { ScalerState } from './scaler-state.ts';
import { ScalerLoop } from './tick.ts';

await runService(
  {
    createLog: () => createLog({ room: 'scaler', level: scalerConfig().logLevel }),
    stopGraceMs: REMOVE_GRACE_MS + 2_000,
  },
  async (service, log) => {
    const config = scalerConfig();
    const { signal } = service;
    const { policy, tickMs } = config;
    const metrics = scalerMetrics();

    const accounts = { media: null, system: storageAccount(config.systemStorage) };
    const blobs = await openBlobStore(accounts, BRISK);
    await reachStorage('the system storage', () => blobs.stat('workers', 'reachable'));
    const batches = await openWorkQueue(accounts.system, QUEUES.frameBatches);
    const redis = await connectRedis(config.redisUrl, log);
    service.onStop(() => redis.disconnect());
    const state = new ScalerState(redis);
    const overrides = new OverrideStore({ blobs, clock, log });
    const { fleet, close } = await openFleet(config, clock, log);
    service.onStop(close);

    const leader = new Leadership({ redis, name: 'scaler', leaseMs: config.leaderLeaseMs, clock, log });
    // Before the first tick, which acts only if this scaler leads.
    await leader.take();
    service.run('leadership', () => leader.run(signal));

    const health = new LoopHealth(clock);
    const loop = new ScalerLoop({
      batches,
      blobs,
      ledger: new Ledger(redis),
      spending: new Spending(redis),
      bootTimes: new BootTimes(state),
      storageClock: new StorageClock({ blobs, clock }),
      overrides,
      rates: new RatesPublisher({ blobs, workRates: new WorkRates(redis) }),
      state,
      leader,
      fleet,
      clock,
      log,
      signal,
      metrics,
      policy,
      tickMs,
    });
    const history = new TickHistory(policy);
    const pass = async (): Promise<number> => {
      const restMs = await loop.pass();
      history.note(await loop.last());
      return restMs;
    };
    service.run('tick', () => repeat({ name: 'tick', clock, log, signal, health, pass }));

    const http = createHttp({
      registry: metrics.registry,
      health,
      isLive: () => loop.isTicking(),
      isReady: () => !signal.aborted && redis.status === 'ready',
    });
    await addGuardedRoutes(http, {
      token: config.token,
      log,
      routes: controlApi({ loop, overrides, history, policy }),
    });
    service.onStop(() => http.close());
    service.announceReady(await listen(http, config.http));
  },
);
