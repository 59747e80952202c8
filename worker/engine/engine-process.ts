/**
 * The worker's side of its engine: starts the process, runs batches, receives a report for each frame, kills the process if it
 * hangs, and survives its death. The next run may start when one is nearly scored; the engine scores them one after the other. Remembers which micro-batches were too large, so that the next process starts smaller.
 *
 * stopped  no process; the next run starts one
 * ready    the process waits for a run
 * running  the process has runs, each of which ends exactly once: by `ended`, or by the death of the process
 */
import type { ChildProcess } from 'node:child_process';

import type { FailedFrame } from '../../shared/contract/failed-frame.ts';
import { indicesOf } from '../../shared/contract/ranges.ts';
import { spawnNode, stopChild, waitForExit } from '../../shared/runtime/child.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { Environment } from '../../shared/runtime/environment.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { EngineWatch, type EngineWatchLimits } from './engine-watch.ts';
import { HalfRecord } from './half-record.ts';
import { KnownMicroBatches, workloadOf } from './micro-batch-size.ts';
import type {
  EngineQuestion,
  EngineSegment,
  FromEngine,
  RunRefusal,
  RunRequest,
  ToEngine,
} from './protocol.ts';

const STOP_GRACE_MS = 1_000;
/** How long an engine has to encode and store a finished segment after it is asked to stop its run. */
const STOP_RUN_MS = 8_000;
/** How long to wait for reports that the process sent before it died. */
const LAST_REPORTS_MS = 500;

type LoadedMessage = Extract<FromEngine, { readonly type: 'loaded' }>;

export interface RunListener {
  /** Native code is done with a frame. */
  computed(frameIndex: number): void;
  failed(frame: FailedFrame): void;
  /** Must not throw. */
  answer(question: EngineQuestion): Promise<boolean>;
  stored(segment: EngineSegment): void;
  /** Another run may start, whose frames follow on the device. */
  nearlyScored?(): void;
}

export type RunEnd =
  /** The engine stored every segment that it was allowed to store, or was asked to stop. */
  | { readonly kind: 'ended' }
  /** The engine could not run the batch at all. */
  | { readonly kind: 'refused'; readonly refusal: RunRefusal }
  /** The process died or was killed. `computing` are the frames that native code was working on. */
  | { readonly kind: 'died'; readonly message: string; readonly computing: readonly number[] };

/** What the worker sends with each run by itself. */
type BatchRunRequest = Omit<RunRequest, 'microBatchMax' | 'mayUseHalf'>;

interface Run {
  /** Model and picture size. */
  readonly workload: string;
  /** The hash of the model. */
  readonly model: string;
  /** How many frames run together; 1 until the model is loaded. */
  microBatch: number;
  readonly listener: RunListener;
  readonly watch: EngineWatch;
  readonly end: (end: RunEnd) => void;
}

export interface EngineOptions {
  /** The process gets this environment and nothing else. */
  readonly environment: Environment;
  readonly programPath: string;
  readonly limits: EngineWatchLimits;
  readonly clock: Clock;
  readonly log: Log;
  /** Called when a process dies or is killed without having been asked to end. */
  readonly onDeath: (how: 'died' | 'stuck') => void;
  /** Called when the model of a run is loaded, on this execution provider. `microBatch` frames run together. */
  readonly onLoaded: (executionProvider: string, microBatch: number) => void;
  /** Called when fewer frames run together from now on. */
  readonly onReduced: (microBatch: number) => void;
}

export class EngineProcess {
  readonly #options: EngineOptions;
  readonly #known = new KnownMicroBatches();
  readonly #half = new HalfRecord();
  #lastLoaded = '';
  /** Times in native code, of the last workload. */
  #recent: { readonly workload: string; readonly ms: number[] } = { workload: '', ms: [] };
  #child: ChildProcess | undefined;
  #isStopping = false;
  #killedFor: string | undefined;
  readonly #runs = new Map<number, Run>();
  #nextRun = 0;
  /** The execution provider in use; null until a model is loaded. */
  executionProvider: string | null = null;

  constructor(options: EngineOptions) {
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts the process if there is none. Called early, so that the first batch does not wait for it. */
  start(): void {
    if (this.#child !== undefined) return;
    const { programPath, environment, log } = this.#options;
    const child = spawnNode(programPath, [], { env: { ...environment } });
    this.#child = child;
    this.#killedFor = undefined;
    this.#lastLoaded = '';
    child.on('message', (message: FromEngine) => this.#receive(message));
    child.on('error', (error) => log.error({ error }, 'engine process failed'));
    void waitForExit(child).then(async ({ status, signal }) => {
      await this.#lastReports(child);
      this.#onExit(child, signal ?? `exit status ${status}`);
    });
    log.info({ pid: child.pid }, 'engine started');
  }

  /** Runs segments. Abort `stop` to end the run early, or `discard` to end it without writing anything more. */
  async run(
    request: BatchRunRequest,
    listener: RunListener,
    { stop, discard }: { readonly stop: AbortSignal; readonly discard: AbortSignal },
  ): Promise<RunEnd> {
    this.start();
    const { promise, resolve } = Promise.withResolvers<RunEnd>();
    const { clock, limits } = this.#options;
    const workload = workloadOf(request);
    if (workload !== this.#recent.workload) this.#recent = { workload, ms: [] };
    using watch = new EngineWatch({
      clock,
      limits,
      recentMs: this.#recent.ms,
      onStuck: (why) => this.#kill(`it was stuck: ${why}`),
    });
    const number = this.#nextRun;
    this.#nextRun += 1;
    const model = request.model.sha256;
    this.#runs.set(number, { workload, model, microBatch: 1, listener, watch, end: resolve });
    const known = { microBatchMax: this.#known.maxFor(workload), mayUseHalf: this.#half.mayUse(model) };
    this.#send({ type: 'run', run: number, request: { ...request, ...known } });
    using _stopping = this.#stopRunOn(stop, { type: 'stop', run: number, discard: false });
    using _discarding = this.#stopRunOn(discard, { type: 'stop', run: number, discard: true });
    try {
      return await promise;
    } finally {
      this.#runs.delete(number);
    }
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#isStopping = true;
    if (child !== undefined) await stopChild(child, { graceMs: STOP_GRACE_MS });
  }

  /** On abort, asks the engine to end its run, and kills it if it takes too long: the instance may go at any moment. */
  #stopRunOn(signal: AbortSignal, message: ToEngine): Disposable {
    let timer: NodeJS.Timeout | undefined;
    const onAbort = (): void => {
      this.#send(message);
      timer = setTimeout(() => this.#kill('it did not stop in time'), STOP_RUN_MS);
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    return {
      [Symbol.dispose]: () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
      },
    };
  }

  #kill(why: string): void {
    this.#killedFor = why;
    this.#child?.kill('SIGKILL');
  }

  #send(message: ToEngine): void {
    if (this.#child?.connected === true) this.#child.send(message, () => undefined);
  }

  #receive(message: FromEngine): void {
    const run = this.#runs.get(message.run);
    switch (message.type) {
      case 'loaded':
        this.executionProvider = message.executionProvider;
        this.#options.onLoaded(message.executionProvider, message.microBatch);
        if (run !== undefined) run.microBatch = message.microBatch;
        run?.watch.loaded();
        this.#logLoaded(run?.model ?? '', message);
        break;
      case 'float16 refused':
        this.#refuseHalf(message.modelSha256, message.reason);
        break;
      case 'computing':
        run?.watch.framesComputing(message.frames);
        break;
      case 'computed':
        run?.watch.framesComputed(message.frames);
        if (run !== undefined) this.#half.computed(run.model);
        for (const frameIndex of indicesOf([message.frames])) run?.listener.computed(frameIndex);
        break;
      case 'reduced':
        if (run !== undefined) this.#reduce(run, message.microBatch, message.reason);
        break;
      case 'failed':
        run?.listener.failed(message.frame);
        break;
      case 'ask':
        if (run !== undefined) void this.#answer(run, message.id, message.question);
        break;
      case 'stored':
        run?.watch.segmentStored();
        run?.listener.stored(message.segment);
        break;
      case 'nearly scored':
        run?.listener.nearlyScored?.();
        break;
      case 'ended':
        run?.end(
          message.refusal === null ? { kind: 'ended' } : { kind: 'refused', refusal: message.refusal },
        );
        break;
    }
  }

  async #answer(run: Run, id: number, question: EngineQuestion): Promise<void> {
    const isYes = await run.listener.answer(question);
    if (![...this.#runs.values()].includes(run)) return;
    run.watch.answered();
    this.#send({ type: 'answer', id, isYes });
  }

  /** Once for each model in a row: the other runs find it loaded. */
  #logLoaded(model: string, { type: _type, run: _run, halfRefusal, ...loaded }: LoadedMessage): void {
    if (model === this.#lastLoaded) return;
    this.#lastLoaded = model;
    this.#options.log.info({ model, ...loaded }, 'model loaded');
    if (halfRefusal !== null) this.#refuseHalf(model, halfRefusal);
  }

  #refuseHalf(model: string, reason: string): void {
    this.#options.log.warn({ model, reason }, 'float16 refused, float32 is used');
    this.#half.refuse(model);
  }

  #reduce(run: Run, microBatch: number, reason: string): void {
    const { log, onReduced } = this.#options;
    log.warn({ from: run.microBatch, to: microBatch, reason }, 'micro-batch reduced');
    run.microBatch = microBatch;
    this.#known.reduce(run.workload, microBatch);
    onReduced(microBatch);
  }

  /** Reports that a process sent before it died may arrive after its exit event. */
  async #lastReports(child: ChildProcess): Promise<void> {
    if (!child.connected) return;
    const disconnected = new Promise<void>((resolve) => child.once('disconnect', resolve));
    await Promise.race([disconnected, this.#options.clock.sleep(LAST_REPORTS_MS)]);
  }

  #onExit(child: ChildProcess, how: string): void {
    if (this.#child !== child) return;
    const { log, onDeath } = this.#options;
    this.#child = undefined;
    this.executionProvider = null;
    const reason =
      this.#killedFor === undefined
        ? `the engine ${this.#isStopping ? 'stopped' : 'died'}: ${how}`
        : `the engine was killed: ${this.#killedFor}`;
    const runs = [...this.#runs.values()];
    const computing = runs.flatMap(({ watch }) => watch.computing);
    log[this.#isStopping ? 'info' : 'warn']({ pid: child.pid, reason, computing }, 'engine ended');
    if (!this.#isStopping) onDeath(this.#killedFor === undefined ? 'died' : 'stuck');
    const isOwnDeath = this.#killedFor === undefined && !this.#isStopping;
    // Only the memory killer sends this signal besides the worker itself.
    const isOutOfMemory = isOwnDeath && how === 'SIGKILL';
    this.#half.ended(runs, { isCrash: isOwnDeath && !isOutOfMemory });
    for (const run of runs) {
      const ownComputing = run.watch.computing;
      if (isOutOfMemory && ownComputing.length > 0 && run.microBatch > 1)
        this.#reduce(run, Math.ceil(run.microBatch / 2), reason);
      run.end({ kind: 'died', message: reason, computing: ownComputing });
    }
  }
}
