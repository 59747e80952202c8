/** The steps part of a producer, with its own connection and a record of every run and failure. */
import { type JobStep, type JobRun, Steps } from '../../producer/jobs/steps.ts';
import { eventually } from './eventually.ts';
import type { TestRedis } from './servers.ts';
import { silentLog } from './silent-log.ts';
import { connect } from './test-redis.ts';

export interface StepProducer extends AsyncDisposable {
  readonly step: JobStep;
  readonly steps: Steps;
  /** Job ids, in the order in which their steps ran. */
  readonly runs: string[];
  /** The same runs in full. */
  readonly jobRuns: JobRun[];
  readonly failures: { readonly jobId: string; readonly error: unknown }[];
  /** Stops the steps and waits until they are back on the queue. */
  stop(): Promise<void>;
}

/** `times` is how often this producer has run the step of this job, including this time. */
export async function startStepProducer(
  server: TestRedis,
  {
    step = 'split',
    concurrency = 1,
    run = () => Promise.resolve(),
  }: {
    readonly step?: JobStep;
    readonly concurrency?: number;
    readonly run?: (jobId: string, signal: AbortSignal, times: number) => Promise<void>;
  } = {},
): Promise<StepProducer> {
  const connections = await connect(server);
  const steps = new Steps(connections.first, silentLog);
  const stopping = new AbortController();
  const runs: string[] = [];
  const jobRuns: JobRun[] = [];
  const failures: StepProducer['failures'] = [];
  steps.process(
    step,
    {
      run: (jobRun, signal) => {
        const { jobId } = jobRun;
        runs.push(jobId);
        jobRuns.push(jobRun);
        return run(jobId, signal, runs.filter((one) => one === jobId).length);
      },
      failed: ({ jobId }, error) => {
        failures.push({ jobId, error });
        return Promise.resolve();
      },
    },
    { concurrency, signal: stopping.signal },
  );
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping.abort(new Error('the test stops this producer'));
    stopped ??= steps.close().finally(() => connections[Symbol.dispose]());
    return stopped;
  };
  return { step, steps, runs, jobRuns, failures, stop, [Symbol.asyncDispose]: stop };
}

/** Most jobs in tests are opened once, under epoch 1. */
export const stepOf = (jobId: string, epoch = 1): JobRun => ({ jobId, epoch, splitNumber: 1 });

/** Steps of a producer run one at a time, in order. When the marker has run, all steps before it have run and will not run again. */
export async function runMarker(
  { step, steps, runs }: Pick<StepProducer, 'step' | 'steps' | 'runs'>,
  jobId = 'job-marker',
): Promise<void> {
  await steps.add(step, stepOf(jobId), 'normal');
  await eventually(`the step of ${jobId} has run`, () => runs.includes(jobId));
}

/** Work that runs until it is aborted. */
export function untilStopped(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = (): void => reject(new Error('stopped', { cause: signal.reason }));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
