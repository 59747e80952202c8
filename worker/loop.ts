/**
 * The worker's loop: receive one batch under a lease, run it, settle it. Every delivery ends in exactly one of four ways,
 * chosen by `settle` and applied in one switch here.
 */
import pLimit from 'p-limit';

import type { BlobStore } from '../shared/azure/blob-store.ts';
import type { ReceivedMessage, WorkQueue } from '../shared/azure/work-queue.ts';
import { failedFrameBlob, frameIndexOf, framesPrefix } from '../shared/contract/blob-names.ts';
import {
  type BatchMessage,
  batchMessage,
  decodeMessage,
  encodeMessage,
} from '../shared/contract/messages.ts';
import { toRanges } from '../shared/contract/ranges.ts';
import { backoffMs } from '../shared/runtime/backoff.ts';
import type { Clock } from '../shared/runtime/clock.ts';
import type { Log } from '../shared/runtime/log.ts';
import type { WorkerConfig } from './config.ts';
import type { EngineProcess, RunEnd } from './engine-process.ts';
import type { FrameFailed, FrameStored } from './engine/protocol.ts';
import type { Heart } from './heartbeat.ts';
import { Lease } from './lease.ts';
import type { WorkerMetrics } from './metrics.ts';
import { copyToPoison } from './poison.ts';
import { resultOf } from './result.ts';
import { type Decision, type Delivery, framesOf, isSuspect, settle } from './settle.ts';

/** A message of a newer release is left for a newer worker. */
const NEWER_DELAY_SECONDS = 60;
/** An engine that was asked to stop has so long to finish the frames in flight. */
const STOP_RUN_MS = 4_000;
const REPORTS_AT_ONCE = 8;

export interface LoopParts {
  readonly config: WorkerConfig;
  readonly blobs: BlobStore;
  readonly batches: WorkQueue;
  readonly results: WorkQueue;
  readonly poison: WorkQueue;
  readonly engine: EngineProcess;
  readonly heart: Heart;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: WorkerMetrics;
  /** Aborted when the worker is to drain. */
  readonly signal: AbortSignal;
}

/** What one delivery has come to so far. */
interface Progress {
  readonly found: ReadonlySet<number>;
  readonly stored: Map<number, FrameStored>;
  readonly failed: Map<number, FrameFailed>;
}

export class WorkerLoop {
  readonly #parts: LoopParts;
  #misses = 0;

  constructor(parts: LoopParts) {
    this.#parts = parts;
  }

  /** One receive and what follows; returns how long to rest. */
  async pass(): Promise<number> {
    const { config, batches, clock, heart, metrics, signal } = this.#parts;
    const requestedAtMs = clock.monotonicMs();
    const message = await batches.receive({ visibilityTimeoutSeconds: config.leaseSeconds, signal });
    if (message === undefined) {
      heart.become('idle');
      this.#misses += 1;
      return backoffMs(this.#misses, config.idlePollMs);
    }
    this.#misses = 0;
    const lease = this.#lease(message, requestedAtMs);
    metrics.busy.set(1);
    heart.become('busy');
    try {
      await this.#deliver(message, lease);
    } finally {
      lease.leave();
      metrics.busy.set(0);
    }
    return 0;
  }

  #lease(message: ReceivedMessage, requestedAtMs: number): Lease {
    const { config, batches, clock, log, metrics } = this.#parts;
    return new Lease({
      queue: batches,
      message,
      requestedAtMs,
      timing: config,
      clock,
      log,
      listener: {
        renewed: () => metrics.leaseRenewals.inc({ outcome: 'renewed' }),
        renewalFailed: () => metrics.leaseRenewals.inc({ outcome: 'failed' }),
        lost: () => metrics.leasesLost.inc(),
      },
    });
  }

  async #deliver(message: ReceivedMessage, lease: Lease): Promise<void> {
    const { log, metrics } = this.#parts;
    const decoded = decodeMessage(message.text, batchMessage);
    switch (decoded.kind) {
      case 'malformed':
        metrics.batches.inc({ settled: 'poison' });
        log.warn({ messageId: message.messageId, reason: decoded.reason }, 'message is malformed');
        await this.#putAside(message, lease, decoded.reason);
        return;
      case 'newer':
        metrics.batches.inc({ settled: 'release' });
        log.warn({ messageId: message.messageId, version: decoded.version }, 'message is of a newer version');
        await lease.release({ text: message.text, delaySeconds: NEWER_DELAY_SECONDS });
        return;
      case 'valid':
        await this.#work({ message, lease, batch: decoded.message });
        return;
    }
  }

  async #work({
    message,
    lease,
    batch,
  }: {
    message: ReceivedMessage;
    lease: Lease;
    batch: BatchMessage;
  }): Promise<void> {
    const { clock, log, config } = this.#parts;
    const startedAtMs = clock.monotonicMs();
    const unreleased = message.dequeueCount - batch.history.releases;
    const progress: Progress = {
      found: message.dequeueCount > 1 ? await this.#storedBefore(batch) : new Set(),
      stored: new Map(),
      failed: new Map(),
    };
    const end = isSuspect(unreleased) ? suspect(unreleased) : await this.#run(batch, progress, lease);
    const delivery: Delivery = {
      batch,
      worker: config.workerId,
      unreleased,
      leaseLost: lease.state === 'lost',
      interruption: this.#interruption(end),
      scored: new Set([...progress.found, ...progress.stored.keys()]),
      newlyStored: progress.stored.size,
      failed: [...progress.failed.values()],
    };
    const decision = settle(delivery);
    const wallSeconds = (clock.monotonicMs() - startedAtMs) / 1000;
    log.info(
      {
        jobId: batch.jobId,
        batchIndex: batch.batchIndex,
        settled: decision.kind,
        frames: batch.frameEnd - batch.frameStart,
        stored: progress.stored.size,
        found: progress.found.size,
        failed: progress.failed.size,
        wallSeconds,
      },
      'delivery ended',
    );
    await this.#apply({ decision, delivery, progress, message, lease, wallSeconds });
  }

  /** Outputs of the batch that an earlier delivery has stored. */
  async #storedBefore({ jobId, frameStart, frameEnd }: BatchMessage): Promise<Set<number>> {
    const found = new Set<number>();
    for await (const { name } of this.#parts.blobs.list('scored', {
      prefix: framesPrefix(jobId, frameStart, frameEnd),
    })) {
      const frameIndex = frameIndexOf(name);
      if (frameIndex !== undefined && frameIndex >= frameStart && frameIndex < frameEnd)
        found.add(frameIndex);
    }
    return found;
  }

  async #run(batch: BatchMessage, progress: Progress, lease: Lease): Promise<RunEnd> {
    const { engine, metrics, signal } = this.#parts;
    const frames = toRanges(framesOf(batch).filter((frameIndex) => !progress.found.has(frameIndex)));
    if (frames.length === 0) return { kind: 'ended' };
    const pull = killWhenStuck(engine, AbortSignal.any([signal, lease.signal]));
    try {
      return await engine.run(
        { jobId: batch.jobId, frames, model: batch.model, parameters: batch.parameters },
        {
          stored: (frame) => {
            progress.stored.set(frame.frameIndex, frame);
            metrics.framesStored.inc();
            metrics.megapixels.inc(frame.megapixels);
            for (const [stage, seconds] of Object.entries(frame.stageSeconds))
              metrics.stageSeconds.inc({ stage }, seconds);
          },
          failed: (frame) => {
            progress.failed.set(frame.frameIndex, frame);
            metrics.framesFailed.inc({ kind: frame.kind });
          },
        },
        { stop: signal, discard: lease.signal },
      );
    } finally {
      pull[Symbol.dispose]();
    }
  }

  #interruption(end: RunEnd): Delivery['interruption'] {
    if (end.kind === 'died') this.#parts.metrics.engineDeaths.inc();
    if (this.#parts.signal.aborted) return 'draining';
    return end.kind === 'ended' ? null : { engine: end.message };
  }

  async #apply({
    decision,
    delivery,
    progress,
    message,
    lease,
    wallSeconds,
  }: {
    decision: Decision;
    delivery: Delivery;
    progress: Progress;
    message: ReceivedMessage;
    lease: Lease;
    wallSeconds: number;
  }): Promise<void> {
    const { batch, worker, scored } = delivery;
    const report = (failed: readonly FrameFailed[]) =>
      this.#report({ batch, worker, scored, failed, run: [...progress.stored.values()], wallSeconds });
    this.#parts.metrics.batches.inc({ settled: decision.kind });
    switch (decision.kind) {
      case 'complete':
        await report(decision.failed);
        await lease.complete();
        return;
      case 'release':
        if (delivery.newlyStored > 0) await report([]);
        await lease.release({
          text: encodeMessage({ ...batch, history: decision.history }),
          delaySeconds: decision.delaySeconds,
        });
        return;
      case 'poison':
        await report(decision.failed);
        await this.#putAside(message, lease, decision.reason);
        return;
      case 'leave':
        return;
    }
  }

  /** Tells the job: each frame given up as a blob beside the scored ones, then the result message. */
  async #report(inputs: Parameters<typeof resultOf>[0]): Promise<void> {
    const { blobs, results, heart } = this.#parts;
    const { batch, worker, failed } = inputs;
    await pLimit(REPORTS_AT_ONCE).map(failed, ({ frameIndex, kind, message }) =>
      blobs.put(
        'scored',
        failedFrameBlob(batch.jobId, frameIndex),
        JSON.stringify({ frameIndex, kind, message, worker, model: batch.model }),
        {
          contentType: 'application/json',
        },
      ),
    );
    const result = resultOf(inputs);
    await results.send(encodeMessage(result));
    heart.model = `${batch.model.name}/${batch.model.version}`;
    heart.executionProvider = this.#parts.engine.executionProvider;
    if (result.framesRun > 0) heart.megapixelsPerSecond = result.megapixels / result.wallSeconds;
  }

  async #putAside(message: ReceivedMessage, lease: Lease, reason: string): Promise<void> {
    const { poison, clock, config } = this.#parts;
    await copyToPoison({ poison, message, reason, worker: config.workerId, clock });
    await lease.complete();
  }
}

/** An engine that does not end its run in time after it was asked to is killed: the machine may go at any moment. */
function killWhenStuck(engine: EngineProcess, asked: AbortSignal): Disposable {
  let timer: NodeJS.Timeout | undefined;
  const onAsked = () => {
    timer = setTimeout(() => engine.kill(), STOP_RUN_MS);
  };
  if (asked.aborted) onAsked();
  asked.addEventListener('abort', onAsked, { once: true });
  return {
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      asked.removeEventListener('abort', onAsked);
    },
  };
}

function suspect(unreleased: number): RunEnd {
  return { kind: 'refused', message: `${unreleased} workers took it and ended without a word` };
}
