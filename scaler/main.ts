/** The scaler: observe, decide, act, once per tick. Only composes. */
import { fileURLToPath } from 'node:url';

import { openBlobStore } from '../shared/azure/blob-store.ts';
import { BRISK, storageAccount } from '../shared/azure/credentials.ts';
import { reachStorage } from '../shared/azure/storage-errors.ts';
import { openWorkQueue } from '../shared/azure/work-queue.ts';
import { QUEUES } from '../shared/contract/storage-layout.ts';
import { Ledger } from '../shared/control/ledger.ts';
import { connectRedis } from '../shared/control/redis.ts';
import { systemClock as clock } from '../shared/runtime/clock.ts';
import { createHttp, listen } from '../shared/runtime/http.ts';
import { createLog } from '../shared/runtime/log.ts';
import { repeat } from '../shared/runtime/repeat.ts';
import { runService } from '../shared/runtime/service.ts';
import { scalerConfig } from './config.ts';
import { LocalProcesses, REMOVE_GRACE_MS } from './fleet/local-processes.ts';
import { ScalerLoop } from './loop.ts';
import { scalerMetrics } from './metrics.ts';

const WORKER_PROGRAM = fileURLToPath(new URL('../worker/main.ts', import.meta.url));

await runService(
  {
    createLog: () => createLog({ room: 'scaler', level: scalerConfig().logLevel }),
    stopGraceMs: REMOVE_GRACE_MS + 2_000,
  },
  async (service, log) => {
    const config = scalerConfig();
    const { signal } = service;
    const metrics = scalerMetrics();

    const accounts = { media: null, system: storageAccount(config.systemStorage) };
    const blobs = await openBlobStore(accounts, BRISK);
    await reachStorage('the system storage', () => blobs.stat('workers', 'reachable'));
    const batches = await openWorkQueue(accounts.system, QUEUES.frameBatches);
    const redis = await connectRedis({ url: config.redisUrl, log });
    service.onStop(() => redis.disconnect());
    const ledger = new Ledger(redis);

    const fleet = new LocalProcesses({
      programPath: WORKER_PROGRAM,
      environment: { ...config.environment, FRAMEFLEET_INFERENCE_THREADS: String(config.inferenceThreads) },
      clock,
      log,
    });
    service.onStop(() => fleet.removeAll());

    const loop = new ScalerLoop({
      batches,
      blobs,
      ledger,
      fleet,
      clock,
      log,
      metrics,
      policy: config.policy,
      tickMs: config.tickMs,
    });
    service.run('tick', () => repeat({ name: 'tick', clock, log, signal, pass: () => loop.pass() }));

    const http = createHttp({
      registry: metrics.registry,
      isLive: () => loop.isTurning(),
      isReady: () => !signal.aborted && redis.status === 'ready',
    });
    service.onStop(() => http.close());
    service.announceReady(await listen(http, config.http));
  },
);
