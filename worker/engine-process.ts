/**
 * The worker's hold on its engine: starts it, gives it one batch at a time, hears of every frame, and survives its death.
 *
 * stopped  no process; the next run starts one
 * ready    waits for a run
 * running  has a run; its end is told exactly once: by `ended`, or by the death of the process
 */
import type { ChildProcess } from 'node:child_process';

import { exited, spawnNode, stopChild } from '../shared/runtime/child.ts';
import type { Environment } from '../shared/runtime/environment.ts';
import type { Log } from '../shared/runtime/log.ts';
import type { FrameFailed, FrameStored, FromEngine, RunRequest, ToEngine } from './engine/protocol.ts';

const STOP_GRACE_MS = 1_000;

export interface RunListener {
  stored(frame: FrameStored): void;
  failed(frame: FrameFailed): void;
}

export type RunEnd =
  /** The engine reported every frame it was to run, or was asked to stop. */
  | { readonly kind: 'ended' }
  /** The engine could not run the batch at all: no model, no memory. */
  | { readonly kind: 'refused'; readonly message: string }
  /** The process died. */
  | { readonly kind: 'died'; readonly message: string };

export class EngineProcess {
  readonly #environment: Environment;
  readonly #programPath: string;
  readonly #log: Log;
  #child: ChildProcess | undefined;
  #isStopping = false;
  #run: { readonly listener: RunListener; readonly end: (end: RunEnd) => void } | undefined;
  /** The provider in force, once the engine has said it. */
  executionProvider: string | null = null;

  constructor({
    environment,
    programPath,
    log,
  }: {
    readonly environment: Environment;
    readonly programPath: string;
    readonly log: Log;
  }) {
    this.#environment = environment;
    this.#programPath = programPath;
    this.#log = log;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts the process where there is none: so that the first batch finds it warm. */
  start(): void {
    if (this.#child !== undefined) return;
    const child = spawnNode(this.#programPath, [], { env: { ...this.#environment } });
    this.#child = child;
    child.on('message', (message: FromEngine) => this.#hear(message));
    child.on('error', (error) => this.#log.error({ error }, 'engine process failed'));
    void exited(child).then(({ status, signal }) => this.#died(child, signal ?? `exit status ${status}`));
    this.#log.info({ pid: child.pid }, 'engine started');
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
    this.#run = { listener, end: resolve };
    const onStop = () => this.#say({ type: 'stop', discard: false });
    const onDiscard = () => this.#say({ type: 'stop', discard: true });
    this.#say({ type: 'run', request });
    if (stop.aborted) onStop();
    if (discard.aborted) onDiscard();
    stop.addEventListener('abort', onStop, { once: true });
    discard.addEventListener('abort', onDiscard, { once: true });
    try {
      return await promise;
    } finally {
      this.#run = undefined;
      stop.removeEventListener('abort', onStop);
      discard.removeEventListener('abort', onDiscard);
    }
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#isStopping = true;
    if (child !== undefined) await stopChild(child, { graceMs: STOP_GRACE_MS });
  }

  /** For an engine that does not answer any more. */
  kill(): void {
    this.#child?.kill('SIGKILL');
  }

  #say(message: ToEngine): void {
    if (this.#child?.connected === true) this.#child.send(message, () => undefined);
  }

  #hear(message: FromEngine): void {
    switch (message.type) {
      case 'ready':
        this.executionProvider = message.executionProvider;
        break;
      case 'stored':
        this.#run?.listener.stored(message.frame);
        break;
      case 'failed':
        this.#run?.listener.failed(message.frame);
        break;
      case 'ended':
        this.#run?.end(
          message.error === null ? { kind: 'ended' } : { kind: 'refused', message: message.error.message },
        );
        break;
    }
  }

  #died(child: ChildProcess, how: string): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    this.executionProvider = null;
    this.#log[this.#isStopping ? 'info' : 'warn']({ pid: child.pid, how }, 'engine ended');
    this.#run?.end({ kind: 'died', message: `the engine ended: ${how}` });
  }
}
