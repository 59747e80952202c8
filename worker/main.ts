/** The worker: holds the leases and one engine. Small, and loads nothing native. Only composes. */
import { fileURLToPath } from 'node:url';

import { openBlobStore } from '../shared/azure/blob-store.ts';
import { BRISK, storageAccount } from '../shared/azure/credentials.ts';
import { reachStorage } from '../shared/azure/storage-errors.ts';
import { openWorkQueue } from '../shared/azure/work-queue.ts';
import { QUEUES } from '../shared/contract/storage-layout.ts';
import { systemClock as clock } from '../shared/runtime/clock.ts';
import { createHttp, listen } from '../shared/runtime/http.ts';
import { createLog } from '../shared/runtime/log.ts';
import { repeat } from '../shared/runtime/repeat.ts';
import { runService } from '../shared/runtime/service.ts';
import { workerConfig } from './config.ts';
import { EngineProcess } from './engine-process.ts';
import { Heart } from './heartbeat.ts';
import { WorkerLoop } from './loop.ts';
import { workerMetrics } from './metrics.ts';

const ENGINE_PROGRAM = fileURLToPath(new URL('./engine/main.ts', import.meta.url));

await runService(
  { createLog: () => createLog({ room: 'worker', level: workerConfig().logLevel }) },
  async (service, log) => {
    const config = workerConfig();
    const { signal } = service;
    const metrics = workerMetrics();
    const leaseCalls = {
      ...BRISK,
      tryTimeoutMs: Math.min(BRISK.tryTimeoutMs, config.leaseCallTimeoutMs),
      callTimeoutMs: config.leaseCallTimeoutMs,
    };

    const accounts = {
      media: storageAccount(config.mediaStorage),
      system: storageAccount(config.systemStorage),
    };
    const blobs = await openBlobStore(accounts, BRISK);
    await reachStorage('the system storage', () => blobs.stat('workers', config.workerId));
    const [batches, results, poison] = await Promise.all([
      openWorkQueue(accounts.system, QUEUES.frameBatches, leaseCalls),
      openWorkQueue(accounts.system, QUEUES.batchResults),
      openWorkQueue(accounts.system, QUEUES.frameBatchesPoison),
    ]);

    const engine = new EngineProcess({
      environment: config.environment,
      programPath: ENGINE_PROGRAM,
      limits: config.engineLimits,
      clock,
      log,
      onDeath: (how) => metrics.engineDeaths.inc({ how }),
    });
    service.onStop(() => engine.stop());
    engine.start();

    const heart = new Heart({ blobs, workerId: config.workerId, vmId: config.vmId, clock, log });
    service.run('heartbeat', () => heart.run({ everyMs: config.heartbeatMs, signal }));
    signal.addEventListener('abort', () => heart.become('draining'), { once: true });

    const loop = new WorkerLoop({
      config,
      workerId: config.workerId,
      framesInFlight: config.framesInFlight,
      drainRequested: () => Promise.resolve(null),
      onDrainRequest: () => undefined,
      blobs,
      batches,
      results,
      poison,
      engine,
      heart,
      clock,
      log,
      metrics,
      signal,
    });
    service.run('loop', async () => {
      await repeat({ name: 'loop', clock, log, signal, pass: () => loop.pass() });
      heart.become('drained');
      await heart.flush();
    });

    const http = createHttp({
      registry: metrics.registry,
      isLive: () => true,
      isReady: () => !signal.aborted,
    });
    service.onStop(() => http.close());
    service.announceReady(await listen(http, config.http));
  },
);
