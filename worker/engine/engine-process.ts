/**
 * The worker's hold on its engine: starts it, gives it one batch at a time, hears of every frame, notices when it hangs, and
 * survives its death.
 *
 * stopped  no process; the next run starts one
 * ready    waits for a run
 * running  has a run; its end is told exactly once: by `ended`, or by the death of the process
 */
import type { ChildProcess } from 'node:child_process';

import { spawnNode, stopChild, waitForExit } from '../../shared/runtime/child.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { Environment } from '../../shared/runtime/environment.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { EngineWatch, type EngineWatchLimits } from './engine-watch.ts';
import type { FrameFailed, FrameStored, FromEngine, Refusal, RunRequest, ToEngine } from './protocol.ts';

const STOP_GRACE_MS = 1_000;
/** An engine that was asked to stop has so long to finish the frames in flight. */
const STOP_RUN_MS = 4_000;
const HEAR_OUT_MS = 500;

export interface RunListener {
  stored(frame: FrameStored): void;
  failed(frame: FrameFailed): void;
}

export type RunEnd =
  /** The engine reported every frame it was to run, or was asked to stop. */
  | { readonly kind: 'ended' }
  /** The engine could not run the batch at all. */
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  /** The process died, or hung and was killed; `computing` are the frames that native code was working on. */
  | { readonly kind: 'died'; readonly message: string; readonly computing: readonly number[] };

interface Run {
  readonly listener: RunListener;
  readonly watch: EngineWatch;
  readonly end: (end: RunEnd) => void;
}

export interface EngineParts {
  /** The engine's own: it is started with nothing else. */
  readonly environment: Environment;
  readonly programPath: string;
  readonly limits: EngineWatchLimits;
  readonly clock: Clock;
  readonly log: Log;
  /** A process died, or had to be killed, that was not asked to stop. */
  readonly onDeath: (how: 'died' | 'stuck') => void;
  /** A model is in force, on this execution provider. */
  readonly onLoaded: (executionProvider: string) => void;
}

export class EngineProcess {
  readonly #parts: EngineParts;
  readonly #recentMs: number[] = [];
  #child: ChildProcess | undefined;
  #isStopping = false;
  #killedFor: string | undefined;
  #run: Run | undefined;
  /** The provider in force, once the engine has said it. */
  executionProvider: string | null = null;

  constructor(parts: EngineParts) {
    this.#parts = parts;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts the process where there is none: so that the first batch finds it warm. */
  start(): void {
    if (this.#child !== undefined) return;
    const { programPath, environment, log } = this.#parts;
    const child = spawnNode(programPath, [], { env: { ...environment } });
    this.#child = child;
    this.#killedFor = undefined;
    child.on('message', (message: FromEngine) => this.#hear(message));
    child.on('error', (error) => log.error({ error }, 'engine process failed'));
    void waitForExit(child).then(async ({ status, signal }) => {
      await this.#heardOut(child);
      this.#died(child, signal ?? `exit status ${status}`);
    });
    log.info({ pid: child.pid }, 'engine started');
  }

  /** Runs frames; one run at a time. Aborting `stop` ends it early, aborting `discard` without writing anything more. */
  async run(
    request: RunRequest,
    listener: RunListener,
    { stop, discard }: { readonly stop: AbortSignal; readonly discard: AbortSignal },
  ): Promise<RunEnd> {
    if (this.#run !== undefined) throw new TypeError('expected one run at a time');
    this.start();
    const { promise, resolve } = Promise.withResolvers<RunEnd>();
    const { clock, limits } = this.#parts;
    using watch = new EngineWatch({
      clock,
      limits,
      recentMs: this.#recentMs,
      onStuck: (why) => this.#kill(`it was stuck: ${why}`),
    });
    this.#run = { listener, watch, end: resolve };
    this.#say({ type: 'run', request });
    using _stopping = this.#stopRunWhen(stop, { discard: false });
    using _discarding = this.#stopRunWhen(discard, { discard: true });
    try {
      return await promise;
    } finally {
      this.#run = undefined;
    }
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#isStopping = true;
    if (child !== undefined) await stopChild(child, { graceMs: STOP_GRACE_MS });
  }

  /** Asks the engine to end its run; one that does not in time is killed: the machine may go at any moment. */
  #stopRunWhen(asked: AbortSignal, { discard }: { readonly discard: boolean }): Disposable {
    let pull: NodeJS.Timeout | undefined;
    const onAsked = (): void => {
      this.#say({ type: 'stop', discard });
      pull = setTimeout(() => this.#kill('it did not stop in time'), STOP_RUN_MS);
    };
    if (asked.aborted) onAsked();
    else asked.addEventListener('abort', onAsked, { once: true });
    return {
      [Symbol.dispose]: () => {
        clearTimeout(pull);
        asked.removeEventListener('abort', onAsked);
      },
    };
  }

  #kill(why: string): void {
    this.#killedFor = why;
    this.#child?.kill('SIGKILL');
  }

  #say(message: ToEngine): void {
    if (this.#child?.connected === true) this.#child.send(message, () => undefined);
  }

  #hear(message: FromEngine): void {
    const run = this.#run;
    switch (message.type) {
      case 'loaded':
        this.executionProvider = message.executionProvider;
        this.#parts.onLoaded(message.executionProvider);
        run?.watch.loaded();
        break;
      case 'computing':
        run?.watch.frameComputing(message.frameIndex);
        break;
      case 'computed':
        run?.watch.frameComputed(message.frameIndex);
        break;
      case 'stored':
        run?.watch.frameEnded(message.frame.frameIndex);
        run?.listener.stored(message.frame);
        break;
      case 'failed':
        run?.watch.frameEnded(message.frame.frameIndex);
        run?.listener.failed(message.frame);
        break;
      case 'ended':
        run?.end(
          message.refusal === null ? { kind: 'ended' } : { kind: 'refused', refusal: message.refusal },
        );
        break;
    }
  }

  /** What a process said before it died may come after the news of its death. */
  async #heardOut(child: ChildProcess): Promise<void> {
    if (!child.connected) return;
    const disconnected = new Promise<void>((resolve) => child.once('disconnect', resolve));
    await Promise.race([disconnected, this.#parts.clock.sleep(HEAR_OUT_MS)]);
  }

  #died(child: ChildProcess, how: string): void {
    if (this.#child !== child) return;
    const { log, onDeath } = this.#parts;
    this.#child = undefined;
    this.executionProvider = null;
    const why = this.#killedFor ?? `it ended by itself: ${how}`;
    const computing = this.#run?.watch.computing ?? [];
    log[this.#isStopping ? 'info' : 'warn']({ pid: child.pid, why, computing }, 'engine ended');
    if (!this.#isStopping) onDeath(this.#killedFor === undefined ? 'died' : 'stuck');
    this.#run?.end({ kind: 'died', message: `the engine died: ${why}`, computing });
  }
}
