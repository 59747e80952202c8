/**
 * The worker's loop: receive one message under a lease, and do with it what its text says. What is no batch at all goes to
 * poison; a batch for a newer release is left for it; a batch is worked.
 */
import type { ReceivedMessage, WorkQueue } from '../shared/azure/work-queue.ts';
import { batchMessage, decodeMessage } from '../shared/contract/messages.ts';
import { backoffMs } from '../shared/runtime/backoff.ts';
import { Lease } from './lease.ts';
import { copyToPoison } from './poison.ts';
import { type WorkParts, workBatch } from './work-batch.ts';

const NEWER_DELAY_SECONDS = 60;

export interface LoopParts extends WorkParts {
  readonly batches: WorkQueue;
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
      return backoffMs(this.#misses, config.idlePollMs, Math.random());
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
    const { config, poison, clock, log, metrics } = this.#parts;
    const { messageId, text } = message;
    const decoded = decodeMessage(text, batchMessage);
    switch (decoded.kind) {
      case 'valid':
        await workBatch({ message, lease, batch: decoded.message }, this.#parts);
        return;
      case 'malformed':
        metrics.batches.inc({ settled: 'poison' });
        log.warn({ messageId, reason: decoded.reason }, 'message is malformed');
        await copyToPoison({ poison, message, reason: decoded.reason, worker: config.workerId, clock });
        await lease.complete();
        return;
      case 'newer':
        metrics.batches.inc({ settled: 'release' });
        log.warn({ messageId, version: decoded.version }, 'message is of a newer version');
        await lease.release({ text, delaySeconds: NEWER_DELAY_SECONDS });
        return;
    }
  }
}
