/** The producer as a service: intake, split, dispatch, collect, stitch, redrive, caps, retain. Only composes. */
import { openBlobStore } from '../shared/azure/blob-store.ts';
import { BRISK, PATIENT, storageAccount } from '../shared/azure/credentials.ts';
import { reachStorage } from '../shared/azure/storage-errors.ts';
import { openWorkQueue } from '../shared/azure/work-queue.ts';
import { QUEUES } from '../shared/contract/storage-layout.ts';
import { Ledger } from '../shared/redis/ledger.ts';
import { connectRedis } from '../shared/redis/redis.ts';
import { Spending } from '../shared/redis/spending.ts';
import { systemClock as clock } from '../shared/runtime/clock.ts';
import { createHttp, listen } from '../shared/runtime/http.ts';
import { createLog } from '../shared/runtime/log.ts';
import { LoopHealth } from '../shared/runtime/loop-health.ts';
import { repeat } from '../shared/runtime/repeat.ts';
import { runService } from '../shared/runtime/service.ts';
import { producerConfig } from './config.ts';
import { Intake } from './intake/intake.ts';
import { capsPass } from './jobs/caps.ts';
import { Collector } from './jobs/collect.ts';
import { dispatchPass } from './jobs/dispatch.ts';
import { failJob } from './jobs/fail-job.ts';
import { FrameRetention } from './jobs/frame-retention.ts';
import { JobFolders } from './jobs/job-folders.ts';
import { poisonDepthPass } from './jobs/poison-depth.ts';
import { redrivePass } from './jobs/redrive.ts';
import { keepForAWhile, retainPass } from './jobs/retain.ts';
import { split } from './jobs/split.ts';
import { StatusPublisher } from './jobs/status.ts';
import { type StepJob, Steps } from './jobs/steps.ts';
import { stitch } from './jobs/stitch.ts';
import { producerMetrics } from './metrics.ts';

/** A split is bound by ffmpeg and the disk; a stitch mostly waits for its frames. */
const SPLITS_AT_ONCE = 2;
const STITCHES_AT_ONCE = 8;

await runService(
  { createLog: () => createLog({ room: 'producer', level: producerConfig().logLevel }) },
  async (service, log) => {
    const config = producerConfig();
    const { signal } = service;
    const { workFolder, workBytesMax } = config;
    const metrics = producerMetrics();

    const accounts = {
      media: storageAccount(config.mediaStorage),
      system: storageAccount(config.systemStorage),
    };
    const door = await openBlobStore(accounts, BRISK);
    await reachStorage('the media storage', () => door.stat('incoming', 'reachable'));
    await reachStorage('the system storage', () => door.stat('models', 'reachable'));
    const blobs = await openBlobStore(accounts, PATIENT);
    const [batches, results, events, poison] = await Promise.all([
      openWorkQueue(accounts.system, QUEUES.frameBatches),
      openWorkQueue(accounts.system, QUEUES.batchResults),
      openWorkQueue(accounts.system, QUEUES.mediaEvents),
      openWorkQueue(accounts.system, QUEUES.frameBatchesPoison),
    ]);

    const redis = await connectRedis(config.redisUrl, log);
    service.onStop(() => redis.disconnect());
    const ledger = new Ledger(redis);
    const folders = await JobFolders.open({ workFolder, workBytesMax, blobs });
    service.onStop(() => folders.removeAll());
    const steps = new Steps({ redis, log });
    service.onStop(() => steps.close());

    const retention = new FrameRetention(redis);
    const spending = new Spending(redis);
    const { sourceBytesMax } = folders;
    const shared = {
      blobs,
      ledger,
      steps,
      folders,
      retention,
      spending,
      sourceBytesMax,
      clock,
      log,
      metrics,
    };
    const failed = (job: StepJob, error: unknown) => failJob(shared, job, error);
    const splitParts = { ...shared, sourceLimits: config.sourceLimits };
    const stitchParts = { ...shared, stitchCpuSecondsMax: config.stitchCpuSecondsMax };
    steps.process(
      'split',
      { run: (job, stop) => split(splitParts, job, stop), failed },
      { concurrency: SPLITS_AT_ONCE, signal },
    );
    steps.process(
      'stitch',
      { run: (job, stop) => stitch(stitchParts, job, stop), failed },
      { concurrency: STITCHES_AT_ONCE, signal },
    );

    const intake = new Intake({ ...shared, events, scanMs: config.intakeScanMs });
    const collector = new Collector({ ...shared, results });
    const { keepFramesMs, keepFailedFramesMs } = config;
    const retainParts = { ...shared, keepFramesMs, keepFailedFramesMs };
    const status = new StatusPublisher({
      ...shared,
      onEnded: async (job) => {
        await folders.remove(job.jobId);
        await keepForAWhile(retainParts, job);
      },
    });
    const health = new LoopHealth(clock);
    const loop = (name: string, pass: () => Promise<number>) =>
      service.run(name, () => repeat({ name, clock, log, signal, health, pass }));
    loop('intake', () => intake.pass());
    loop('dispatch', () => dispatchPass({ ...shared, batches, resendMs: config.resendMs }));
    loop('collect', () => collector.pass());
    loop('status', () => status.pass());
    loop('redrive', () => redrivePass({ ...shared, scanMs: config.intakeScanMs }));
    loop('caps', () => capsPass({ ...shared, scanMs: config.intakeScanMs }));
    loop('retain', () => retainPass(retainParts));
    loop('poison depth', () => poisonDepthPass({ poison, metrics }));

    const isReady = () => !signal.aborted && redis.status === 'ready';
    const http = createHttp({ registry: metrics.registry, health, isReady });
    service.onStop(() => http.close());
    service.announceReady(await listen(http, config.http));
  },
);
