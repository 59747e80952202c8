/** The producer service. Opens connections, wires the parts together and runs their loops. */
import { openBlobStore } from '../shared/azure/blob-store.ts';
import { BRISK, PATIENT, storageAccount } from '../shared/azure/credentials.ts';
import { reachStorage } from '../shared/azure/storage-errors.ts';
import { openWorkQueue } from '../shared/azure/work-queue.ts';
import { QUEUES } from '../shared/contract/storage-layout.ts';
import { JobTimes } from '../shared/redis/job-times.ts';
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
import { producerConfig } from './config.ts';
import { Intake } from './intake/intake.ts';
import { capsPass } from './jobs/caps.ts';
import { Collector } from './jobs/collect.ts';
import { dispatchPass } from './jobs/dispatch.ts';
import { failJob } from './jobs/fail-job.ts';
import { removeExpiredFrames, scheduleFrameRemoval } from './jobs/frame-removal.ts';
import { FrameRetention } from './jobs/frame-retention.ts';
import { JobControls } from './jobs/job-controls.ts';
import { JobFolders } from './jobs/job-folders.ts';
import { poisonDepthPass } from './jobs/poison-depth.ts';
import { Previews } from './jobs/previews.ts';
import { redrivePass } from './jobs/redrive.ts';
import { SourcePlans } from './jobs/source-plans.ts';
import { split } from './jobs/split.ts';
import { StatusPublisher } from './jobs/status.ts';
import { type JobRun, Steps } from './jobs/steps.ts';
import { stitch } from './jobs/stitch.ts';
import { producerMetrics } from './metrics.ts';
import { JobIndex } from './page/job-index.ts';
import { createPage } from './page/server.ts';

/** Both are bound by the disk and the network; none waits for frames. */
const SPLITS_AT_ONCE = 2;
const STITCHES_AT_ONCE = 2;

await runService(
  { createLog: () => createLog({ room: 'producer', level: producerConfig().logLevel }) },
  async (service, log) => {
    const config = producerConfig();
    const { signal } = service;
    const { workFolder, workBytesMax, sourceLimits, stitchCpuSecondsMax, resendMs } = config;
    const { keepFramesMs, keepFailedFramesMs, intakeScanMs: scanMs } = config;
    const metrics = producerMetrics();

    const accounts = {
      media: storageAccount(config.mediaStorage),
      system: storageAccount(config.systemStorage),
    };
    const startupBlobs = await openBlobStore(accounts, BRISK);
    await reachStorage('the media storage', () => startupBlobs.stat('incoming', 'reachable'));
    await reachStorage('the system storage', () => startupBlobs.stat('models', 'reachable'));
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
    const retention = new FrameRetention(redis);
    const spending = new Spending(redis);
    const times = new JobTimes(redis);
    const workRates = new WorkRates(redis);
    const folders = await JobFolders.open({ workFolder, workBytesMax, blobs });
    service.onStop(() => folders.removeAll());
    const { sourceBytesMax } = folders;
    const steps = new Steps(redis, log);
    service.onStop(() => steps.close());

    const failed = (run: JobRun, error: unknown) => failJob({ ledger, log }, run, error);
    const splitServices = { blobs, ledger, folders, steps, sourceLimits, clock, log, metrics };
    const measures = { times, workRates, spending };
    const stitchServices = { blobs, ledger, ...measures, folders, stitchCpuSecondsMax, clock, log, metrics };
    steps.process(
      'split',
      { run: (run, stop) => split(splitServices, run, stop), failed },
      { concurrency: SPLITS_AT_ONCE, signal },
    );
    steps.process(
      'stitch',
      { run: (run, stop) => stitch(stitchServices, run, stop), failed },
      { concurrency: STITCHES_AT_ONCE, signal },
    );

    const openJobServices = { blobs, ledger, steps, sourceBytesMax, clock, log };
    const intake = new Intake({ ...openJobServices, events, scanMs, metrics });
    const collector = new Collector({ results, ledger, steps, times, workRates, clock, log, metrics });
    const frameRemovalServices = { blobs, ledger, retention, keepFramesMs, keepFailedFramesMs, clock, log };
    const jobIndex = config.page === null ? null : new JobIndex({ blobs, clock });
    const status = new StatusPublisher({
      blobs,
      ledger,
      clock,
      ...measures,
      log,
      metrics,
      onEnded: async (job) => {
        await folders.remove(job.jobId);
        await scheduleFrameRemoval(frameRemovalServices, job);
      },
      ...(jobIndex !== null && { onOpen: (open) => jobIndex.observe(open) }),
    });
    const health = new LoopHealth(clock);
    const loop = (name: string, pass: () => Promise<number>) =>
      service.run(name, () => repeat({ name, clock, log, signal, health, pass }));
    loop('intake', () => intake.pass());
    const dispatchServices = {
      ledger,
      batches,
      plans: new SourcePlans(blobs),
      spending,
      resendMs,
      clock,
      log,
      metrics,
    };
    loop('dispatch', () => dispatchPass(dispatchServices));
    loop('collect', () => collector.pass());
    const previews = new Previews({ blobs, ledger, log });
    loop('previews', () => previews.pass());
    loop('status', () => status.pass());
    loop('redrive', () => redrivePass({ ...openJobServices, retention, poison, times, scanMs, metrics }));
    const controls = new JobControls({ blobs, ledger, batches, retention, scanMs, clock, log });
    loop('job controls', () => controls.pass());
    loop('caps', () => capsPass({ blobs, ledger, scanMs, log }));
    loop('retain', () => removeExpiredFrames(frameRemovalServices));
    loop('poison depth', () => poisonDepthPass(poison, metrics));

    let pagePort: number | undefined;
    if (config.page !== null && jobIndex !== null) {
      const { address, ...settings } = config.page;
      const page = await createPage({ ...settings, ...splitServices, times, index: jobIndex, signal });
      service.onStop(() => page.http.close());
      loop('page jobs', () => jobIndex.pass());
      loop('page events', () => page.live.pass());
      loop('page uploads', () => page.uploads.sweep());
      pagePort = await listen(page.http, address, 'FRAMEFLEET_PAGE_PORT');
    }

    const isReady = () => !signal.aborted && redis.status === 'ready';
    const http = createHttp({ registry: metrics.registry, health, isReady });
    service.onStop(() => http.close());
    service.announceReady(await listen(http, config.http), pagePort);
  },
);
