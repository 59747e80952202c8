/** A producer as far as steps go: its own connection, and a note of every run and every failure. */
import { type JobStep, type JobRun, Steps } from '../../producer/jobs/steps.ts';
import type { TestRedis } from './servers.ts';
import { silentLog } from './silent-log.ts';
import { connect } from './test-redis.ts';

export interface StepProducer extends AsyncDisposable {
  readonly steps: Steps;
  /** Job ids, in the order in which their steps were run. */
  readonly runs: string[];
  readonly failures: { readonly jobId: string; readonly error: unknown }[];
  /** Tells its steps to stop, and waits until they have handed themselves back. */
  stop(): Promise<void>;
}

/** `run` is called with what the handler is, and with how often this producer has run the job, this time included. */
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
  const failures: StepProducer['failures'] = [];
  steps.process(
    step,
    {
      run: ({ jobId }, signal) => {
        runs.push(jobId);
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
  return { steps, runs, failures, stop, [Symbol.asyncDispose]: stop };
}

/** Whose step a test means: most jobs here are opened once. */
export const stepOf = (jobId: string, epoch = 1): JobRun => ({ jobId, epoch });

/** Work that goes on until it is told to stop. */
export function untilStopped(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = (): void => reject(new Error('stopped', { cause: signal.reason }));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
