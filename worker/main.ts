/** The worker: composes its parts. Holds the leases and one engine process; loads nothing native itself. */
import { fileURLToPath } from 'node:url';

import { openBlobStore } from '../shared/azure/blob-store.ts';
import { BRISK, storageAccount } from '../shared/azure/credentials.ts';
import { briskWithin } from '../shared/azure/retry-policy.ts';
import { reachStorage } from '../shared/azure/storage-errors.ts';
import { openWorkQueue } from '../shared/azure/work-queue.ts';
import { QUEUES } from '../shared/contract/storage-layout.ts';
import { systemClock as clock } from '../shared/runtime/clock.ts';
import { createHttp, listen } from '../shared/runtime/http.ts';
import { createLog } from '../shared/runtime/log.ts';
import { LoopHealth } from '../shared/runtime/loop-health.ts';
import { repeat } from '../shared/runtime/repeat.ts';
import { runService } from '../shared/runtime/service.ts';
import { workerConfig } from './config.ts';
import { WorkerLoop } from './delivery/loop.ts';
import { EngineProcess } from './engine/engine-process.ts';
import { chooseExecutionProvider } from './engine/execution-provider.ts';
import { Drain } from './host/drain.ts';
import { HeartbeatSender } from './host/heartbeat.ts';
import { holdWorkerId } from './host/one-per-gpu.ts';
import { ScheduledEvents } from './host/scheduled-events.ts';
import { workerMetrics } from './metrics.ts';

const ENGINE_PROGRAM = fileURLToPath(new URL('./engine/main.ts', import.meta.url));

await runService(
  { createLog: () => createLog({ room: 'worker', level: workerConfig().logLevel }) },
  async (service, log) => {
    const config = workerConfig();
    const { signal } = service;
    const metrics = workerMetrics();
    const name = await holdWorkerId(config.workerId);
    service.onStop(() => name[Symbol.dispose]());
    const leaseCalls = briskWithin(config.leaseCallTimeoutMs);
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

    const { provider } = await chooseExecutionProvider({
      allowed: config.executionProviders,
      deviceId: config.gpu,
      environment: config.environment,
      log,
      signal,
    });
    metrics.executionProvider.set({ provider }, 1);
    const engine = new EngineProcess({
      environment: {
        ...config.environment,
        // The engine must not try providers that failed their probe with every model again.
        FRAMEFLEET_EXECUTION_PROVIDERS: config.executionProviders
          .slice(config.executionProviders.indexOf(provider))
          .join(','),
      },
      programPath: ENGINE_PROGRAM,
      limits: config.engineLimits,
      clock,
      log,
      onDeath: (how) => metrics.engineDeaths.inc({ how }),
      onLoaded: (loadedOn, microBatch) => {
        metrics.executionProvider.reset();
        metrics.executionProvider.set({ provider: loadedOn }, 1);
        metrics.microBatchFrames.set(microBatch);
      },
      onReduced: (microBatch) => metrics.microBatchFrames.set(microBatch),
    });
    service.onStop(() => engine.stop());
    engine.start();

    const heartbeat = new HeartbeatSender({
      blobs,
      workerId: config.workerId,
      vmId: config.vmId,
      executionProvider: provider,
      clock,
      log,
    });
    service.run('heartbeat', () => heartbeat.run(config.heartbeatMs, signal));

    const drain = new Drain({ blobs, vmId: config.vmId, heartbeat, clock, log });
    signal.addEventListener('abort', () => drain.stop(), { once: true });
    const { scheduledEventsUrl } = config;
    const events =
      scheduledEventsUrl === undefined
        ? null
        : new ScheduledEvents({
            url: scheduledEventsUrl,
            vmName: config.vmName ?? null,
            clock,
            log,
            signal,
            onEviction: (notice) => {
              metrics.evictions.inc({ event: notice.eventType });
              drain.evict(notice);
            },
          });
    if (events !== null) service.run('scheduled events', () => events.run());

    const health = new LoopHealth(clock);
    const loop = new WorkerLoop(
      {
        workerId: config.workerId,
        blobs,
        batches,
        results,
        poison,
        engine,
        heartbeat,
        clock,
        log,
        metrics,
        signal: drain.releaseSignal,
      },
      { config, isDrainRequested: () => drain.isRequested() },
    );
    service.run('loop', async () => {
      await repeat({ name: 'loop', clock, log, signal: drain.signal, health, pass: () => loop.pass() });
      await loop.ended().catch((error: unknown) => log.warn({ error }, 'delivery failed'));
      await drain.finish(async (eventId) => events?.acknowledge(eventId));
      await drain.keepAnswering(config.heartbeatMs, signal);
    });

    const http = createHttp({
      registry: metrics.registry,
      health,
      isReady: () => !drain.signal.aborted,
    });
    service.onStop(() => http.close());
    service.announceReady(await listen(http, config.http));
  },
);
