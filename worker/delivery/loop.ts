/**
 * The worker's loop: look for a drain request, receive one message under a lease, and do with it what its text says. What is no
 * batch at all goes to poison; a batch for a newer release is left for it; a batch is worked.
 */
import type { ReceivedMessage, WorkQueue } from '../../shared/azure/work-queue.ts';
import { batchMessage, decodeMessage } from '../../shared/contract/messages.ts';
import { backoffMs } from '../../shared/runtime/backoff.ts';
import type { WorkerConfig } from '../config.ts';
import { Lease } from './lease.ts';
import { poisonMessage } from './poison.ts';
import { type WorkParts, workBatch } from './work-batch.ts';

const NEWER_DELAY_SECONDS = 60;
/** A day of being left for newer workers: none is coming. */
const NEWER_DELIVERIES_MAX = (24 * 3600) / NEWER_DELAY_SECONDS;

/** Messages that this worker had last. */
const REMEMBERED_MAX = 64;

export interface LoopParts extends WorkParts {
  readonly config: Pick<WorkerConfig, 'leaseSeconds' | 'renewEveryMs' | 'idlePollMs'>;
  readonly batches: WorkQueue;
  /** Whether nothing more is to be received: looked at before each receive. */
  readonly isDrainRequested: () => Promise<boolean>;
}

export class WorkerLoop {
  readonly #parts: LoopParts;
  readonly #livedThrough = new Map<string, number>();
  #misses = 0;

  constructor(parts: LoopParts) {
    this.#parts = parts;
  }

  /** One receive and what follows; returns how long to rest. */
  async pass(): Promise<number> {
    const { config, batches, clock, heart, isDrainRequested, metrics, signal } = this.#parts;
    if (await isDrainRequested()) return 0;
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
      this.#remember(message);
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

  /** A lease may be lost with a frame's number saved. Whoever gets the message again is to know that nobody died of it. */
  #remember({ messageId, dequeueCount }: ReceivedMessage): void {
    this.#livedThrough.delete(messageId);
    this.#livedThrough.set(messageId, dequeueCount);
    const [oldest] = this.#livedThrough.keys();
    if (this.#livedThrough.size > REMEMBERED_MAX && oldest !== undefined) this.#livedThrough.delete(oldest);
  }

  async #deliver(message: ReceivedMessage, lease: Lease): Promise<void> {
    const decoded = decodeMessage(message.text, batchMessage);
    switch (decoded.kind) {
      case 'valid':
        await workBatch(
          {
            message,
            lease,
            batch: decoded.message,
            livedThrough: this.#livedThrough.get(message.messageId),
          },
          this.#parts,
        );
        return;
      case 'malformed':
        await this.#putAside(message, lease, { reason: 'malformed', why: decoded.reason });
        return;
      case 'newer':
        await this.#leaveForNewer(message, lease, decoded.version);
        return;
    }
  }

  async #leaveForNewer(message: ReceivedMessage, lease: Lease, version: number): Promise<void> {
    const { heart, log, metrics } = this.#parts;
    const { messageId, text, dequeueCount } = message;
    heart.isTooOld();
    if (dequeueCount > NEWER_DELIVERIES_MAX) {
      const why = `it is of version ${version}, and no worker that new has come in ${dequeueCount} deliveries`;
      await this.#putAside(message, lease, { reason: 'too-new', why });
      return;
    }
    metrics.batches.inc({ settled: 'release' });
    log.warn({ messageId, version }, 'message is of a newer version');
    await lease.release({ text, delaySeconds: NEWER_DELAY_SECONDS });
  }

  async #putAside(
    message: ReceivedMessage,
    lease: Lease,
    why: { readonly reason: 'malformed' | 'too-new'; readonly why: string },
  ): Promise<void> {
    const { log, metrics } = this.#parts;
    metrics.batches.inc({ settled: 'poison' });
    log.warn({ messageId: message.messageId, ...why }, 'message is put aside');
    await poisonMessage(message, why, this.#parts);
    await lease.complete();
  }
}
