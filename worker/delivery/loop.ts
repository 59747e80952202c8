/**
 * The worker's loop. Each pass checks for a drain request, receives one message under a lease, and acts on its content: a valid
 * batch is run, a malformed message is moved to the poison queue, and a message of a newer release is released for a newer worker.
 *
 * When a batch is nearly scored, the next message is received, so that the device has work while the batch is encoded, stored and settled.
 * A worker holds two batches at most.
 */
import type { ReceivedMessage } from '../../shared/azure/work-queue.ts';
import { batchMessage, decodeMessage } from '../../shared/contract/messages.ts';
import { backoffMs } from '../../shared/runtime/backoff.ts';
import type { WorkerConfig } from '../config.ts';
import { BusyTime } from './busy-time.ts';
import { JobOrders } from './job-orders.ts';
import { Lease } from './lease.ts';
import { type RejectReason, poisonRejectedMessage } from './poison.ts';
import type { DeliveryServices } from './services.ts';
import { workBatch } from './work-batch.ts';

const NEWER_DELAY_SECONDS = 60;
/** One day. After that, no newer worker is expected. */
const NEWER_DELIVERIES_MAX = (24 * 3600) / NEWER_DELAY_SECONDS;

/** How many recent messages the worker remembers. */
const REMEMBERED_MAX = 64;

export interface WorkerLoopOptions {
  readonly config: Pick<WorkerConfig, 'leaseSeconds' | 'renewEveryMs' | 'idlePollMs'>;
  /** Called before each receive. If true, the worker receives nothing more. */
  readonly isDrainRequested: () => Promise<boolean>;
}

export class WorkerLoop {
  readonly #services: DeliveryServices;
  readonly #options: WorkerLoopOptions;
  /** The `dequeueCount` of this worker's last delivery of each message, by message id. */
  readonly #survivedDeliveries = new Map<string, number>();
  #emptyReceives = 0;
  /** The delivery before, which only stores and settles. */
  #ending: Promise<void> = Promise.resolve();
  #deliveries = 0;
  readonly #busyTime = new BusyTime();
  readonly #orders: JobOrders;

  constructor(services: DeliveryServices, options: WorkerLoopOptions) {
    this.#services = services;
    this.#options = options;
    this.#orders = new JobOrders(services);
  }

  /** Receives one message at most, and handles it until the next one may be received. Returns how many milliseconds to rest. */
  async pass(): Promise<number> {
    const { config, isDrainRequested } = this.#options;
    const { batches, clock, heartbeat, signal } = this.#services;
    if (await isDrainRequested()) return 0;
    const requestedAtMs = clock.monotonicMs();
    const message = await batches.receive({ visibilityTimeoutSeconds: config.leaseSeconds, signal });
    if (message === undefined) {
      await this.ended();
      heartbeat.setState('idle');
      this.#emptyReceives += 1;
      return backoffMs(this.#emptyReceives, config.idlePollMs, Math.random());
    }
    this.#emptyReceives = 0;
    const nearlyScored = Promise.withResolvers<void>();
    const delivery = this.#deliver(message, requestedAtMs, nearlyScored.resolve);
    const before = this.#ending;
    this.#ending = delivery;
    const [started, ended] = await Promise.allSettled([
      Promise.race([delivery, nearlyScored.promise]),
      before,
    ]);
    if (started.status === 'rejected') await this.ended();
    if (ended.status === 'rejected') throw ended.reason;
    return 0;
  }

  /** Resolves when every delivery is settled. Throws what went wrong with the last one. */
  async ended(): Promise<void> {
    const ending = this.#ending;
    this.#ending = Promise.resolve();
    await ending;
  }

  async #deliver(message: ReceivedMessage, requestedAtMs: number, onNearlyScored: () => void): Promise<void> {
    const { heartbeat, metrics } = this.#services;
    const lease = this.#openLease(message, requestedAtMs);
    this.#deliveries += 1;
    metrics.busy.set(1);
    heartbeat.setState('busy');
    try {
      await this.#handle(message, lease, onNearlyScored);
    } finally {
      this.#remember(message);
      lease.leave();
      this.#deliveries -= 1;
      if (this.#deliveries === 0) metrics.busy.set(0);
    }
  }

  #openLease(message: ReceivedMessage, requestedAtMs: number): Lease {
    const { batches, clock, log, metrics } = this.#services;
    return new Lease({
      queue: batches,
      message,
      requestedAtMs,
      timing: this.#options.config,
      clock,
      log,
      listener: {
        renewed: () => metrics.leaseRenewals.inc({ outcome: 'renewed' }),
        renewalFailed: () => metrics.leaseRenewals.inc({ outcome: 'failed' }),
        lost: () => metrics.leasesLost.inc(),
      },
    });
  }

  /**
   * A lease can be lost while a frame number is saved in the message. If this worker receives the message again, it knows that
   * the frame did not kill it.
   */
  #remember({ messageId, dequeueCount }: ReceivedMessage): void {
    this.#survivedDeliveries.delete(messageId);
    this.#survivedDeliveries.set(messageId, dequeueCount);
    const [oldest] = this.#survivedDeliveries.keys();
    if (this.#survivedDeliveries.size > REMEMBERED_MAX && oldest !== undefined)
      this.#survivedDeliveries.delete(oldest);
  }

  async #handle(message: ReceivedMessage, lease: Lease, onNearlyScored: () => void): Promise<void> {
    const decoded = decodeMessage(message.text, batchMessage);
    switch (decoded.kind) {
      case 'valid': {
        const survivedDelivery = this.#survivedDeliveries.get(message.messageId);
        const { message: batch } = decoded;
        this.#services.heartbeat.holdBatchOf(batch.jobId);
        const received = {
          message,
          lease,
          batch,
          busyTime: this.#busyTime,
          orders: this.#orders,
          survivedDelivery,
          onNearlyScored,
        };
        await workBatch(received, this.#services);
        return;
      }
      case 'malformed':
        await this.#reject(message, lease, { reason: 'malformed', detail: decoded.reason });
        return;
      case 'newer':
        await this.#releaseForNewer(message, lease, decoded.version);
        return;
    }
  }

  async #releaseForNewer(message: ReceivedMessage, lease: Lease, version: number): Promise<void> {
    const { heartbeat, log, metrics } = this.#services;
    const { messageId, text, dequeueCount } = message;
    heartbeat.reportTooOld();
    if (dequeueCount > NEWER_DELIVERIES_MAX) {
      const detail = `message version ${version} is newer than every worker that received it in ${dequeueCount} deliveries`;
      await this.#reject(message, lease, { reason: 'too-new', detail });
      return;
    }
    metrics.batches.inc({ settled: 'release' });
    log.warn({ messageId, version }, 'message has a newer version');
    await lease.release({ text, delaySeconds: NEWER_DELAY_SECONDS });
  }

  async #reject(message: ReceivedMessage, lease: Lease, rejection: RejectReason): Promise<void> {
    const { log, metrics } = this.#services;
    metrics.batches.inc({ settled: 'poison' });
    log.warn({ messageId: message.messageId, ...rejection }, 'message moved to poison queue');
    await poisonRejectedMessage(message, rejection, this.#services);
    await lease.complete();
  }
}
