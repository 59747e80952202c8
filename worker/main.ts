/** The worker: holds the leases and one engine. Small, and loads nothing native. Only composes. */
import { fileURLToPath } from 'node:url';

import { openBlobStore } from '../shared/azure/blob-store.ts';
import { BRISK, storageAccount } from '../shared/azure/credentials.ts';
import { briskWithin } from '../shared/azure/retry-policy.ts';
import { reachStorage } from '../shared/azure/storage-errors.ts';
import { openWorkQueue } from '../shared/azure/work-queue.ts';
import { QUEUES } from '../shared/contract/storage-layout.ts';
import { type Clock, systemClock as clock } from '../shared/runtime/clock.ts';
import { createHttp, listen } from '../shared/runtime/http.ts';
import { type Log, createLog } from '../shared/runtime/log.ts';
import { LoopHealth } from '../shared/runtime/loop-health.ts';
import { repeat } from '../shared/runtime/repeat.ts';
import { runService } from '../shared/runtime/service.ts';
import { type WorkerConfig, workerConfig } from './config.ts';
import { WorkerLoop } from './delivery/loop.ts';
import { EngineProcess } from './engine/engine-process.ts';
import { chooseExecutionProvider } from './engine/execution-provider.ts';
import { Drain } from './host/drain.ts';
import { Heart } from './host/heartbeat.ts';
import { holdWorkerId } from './host/one-per-gpu.ts';
import { ScheduledEvents } from './host/scheduled-events.ts';
import { type WorkerMetrics, workerMetrics } from './metrics.ts';

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
      wanted: config.executionProviders,
      deviceId: config.gpu,
      environment: config.environment,
      log,
      signal,
    });
    metrics.executionProvider.set({ provider }, 1);
    const engine = new EngineProcess({
      environment: {
        ...config.environment,
        // What was refused by the probe is not tried again with every model.
        FRAMEFLEET_EXECUTION_PROVIDERS: config.executionProviders
          .slice(config.executionProviders.indexOf(provider))
          .join(','),
      },
      programPath: ENGINE_PROGRAM,
      limits: config.engineLimits,
      clock,
      log,
      onDeath: (how) => metrics.engineDeaths.inc({ how }),
      onLoaded: (inForce) => {
        metrics.executionProvider.reset();
        metrics.executionProvider.set({ provider: inForce }, 1);
      },
    });
    service.onStop(() => engine.stop());
    engine.start();

    const heart = new Heart({ blobs, workerId: config.workerId, vmId: config.vmId, clock, log });
    heart.probed(provider);
    service.run('heartbeat', () => heart.run({ everyMs: config.heartbeatMs, signal }));

    const drain = new Drain({ blobs, vmId: config.vmId, heart, clock, log });
    signal.addEventListener('abort', () => drain.stopping(), { once: true });
    const events = watchEvictions(config, { drain, metrics, clock, log, signal });
    if (events !== null) service.run('scheduled events', () => events.run());

    const health = new LoopHealth(clock);
    const loop = new WorkerLoop({
      config,
      workerId: config.workerId,
      framesInFlight: config.framesInFlight,
      isDrainRequested: () => drain.isRequested(),
      blobs,
      batches,
      results,
      poison,
      engine,
      heart,
      clock,
      log,
      metrics,
      signal: drain.releaseSignal,
    });
    service.run('loop', async () => {
      await repeat({ name: 'loop', clock, log, signal: drain.signal, health, pass: () => loop.pass() });
      await drain.finish(async (eventId) => events?.acknowledge(eventId));
      await drain.keepAnswering({ everyMs: config.heartbeatMs, signal });
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

/** Null where nobody is asked. */
function watchEvictions(
  { scheduledEventsUrl, vmName }: Pick<WorkerConfig, 'scheduledEventsUrl' | 'vmName'>,
  {
    drain,
    metrics,
    ...parts
  }: {
    readonly drain: Drain;
    readonly metrics: WorkerMetrics;
    readonly clock: Clock;
    readonly log: Log;
    readonly signal: AbortSignal;
  },
): ScheduledEvents | null {
  if (scheduledEventsUrl === undefined) return null;
  return new ScheduledEvents({
    ...parts,
    url: scheduledEventsUrl,
    vmName: vmName ?? null,
    onEviction: (notice) => {
      metrics.evictions.inc({ event: notice.eventType });
      drain.evicted(notice);
    },
  });
}
