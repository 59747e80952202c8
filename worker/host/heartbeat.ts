/**
 * Sends the worker's heartbeat: an empty blob in `workers` with the state in its metadata. Best effort: a beat that cannot be
 * sent is logged, and the scaler waits before it considers a worker missing.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { heartbeatBlob } from '../../shared/contract/blob-names.ts';
import { type WorkerState, heartbeatMetadata } from '../../shared/contract/heartbeat.ts';
import type { BatchMessage } from '../../shared/contract/messages.ts';
import { type Clock, rest } from '../../shared/runtime/clock.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { ScoredFrame } from '../engine/protocol.ts';
import { RecentAttempts } from './recent-attempts.ts';

/** The states that may follow each state. */
const MOVES: Readonly<Record<WorkerState, readonly WorkerState[]>> = {
  booting: ['idle', 'busy', 'draining', 'drained'],
  idle: ['busy', 'draining', 'drained'],
  busy: ['idle', 'draining', 'drained'],
  draining: ['drained'],
  drained: [],
};

export interface HeartbeatOptions {
  readonly blobs: BlobStore;
  readonly workerId: string;
  readonly vmId: string;
  /** The provider that the probe chose. Each loaded model may change it. */
  readonly executionProvider: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** What a delivery says about this worker's speed and health. */
export interface DeliveryRecord {
  readonly batch: BatchMessage;
  readonly frames: readonly ScoredFrame[];
  /** Failed attempts at frames. */
  readonly failed: number;
  readonly wallSeconds: number;
  readonly executionProvider: string | null;
}

export class HeartbeatSender {
  readonly #blobs: BlobStore;
  readonly #workerId: string;
  readonly #vmId: string;
  readonly #clock: Clock;
  readonly #log: Log;
  #state: WorkerState = 'booting';
  #stateSince: Date;
  #jobId: string | null = null;
  #sequence = 0;
  #sending: Promise<void> = Promise.resolve();
  #executionProvider: string;
  readonly #attempts: RecentAttempts;
  #isTooOld = false;
  #drainEtag: string | null = null;
  #model: string | null = null;
  #megapixelsPerSecond: number | null = null;

  constructor(options: HeartbeatOptions) {
    this.#blobs = options.blobs;
    this.#workerId = options.workerId;
    this.#vmId = options.vmId;
    this.#executionProvider = options.executionProvider;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#stateSince = options.clock.now();
    this.#attempts = new RecentAttempts(options.clock);
  }

  get state(): WorkerState {
    return this.#state;
  }

  /** Changes the state if that is allowed, and sends a beat at once. Beats are sent in order. */
  setState(state: WorkerState): void {
    if (!MOVES[this.#state].includes(state)) return;
    this.#state = state;
    this.#stateSince = this.#clock.now();
    if (state !== 'busy') this.#jobId = null;
    void this.#beat();
  }

  /** The machine is charged to this job while the worker is busy, from the next beat on. */
  holdBatchOf(jobId: string): void {
    if (this.#state === 'busy') this.#jobId = jobId;
  }

  /** The queue has messages that only newer workers understand. */
  reportTooOld(): void {
    this.#isTooOld = true;
  }

  /** Quotes a drain request from now on: the state is the answer to this request. */
  answerDrainRequest(etag: string): void {
    if (etag === this.#drainEtag) return;
    this.#drainEtag = etag;
    if (this.#state === 'draining' || this.#state === 'drained') void this.#beat();
  }

  recordDelivery(record: DeliveryRecord): void {
    const { batch, frames, failed, wallSeconds, executionProvider } = record;
    this.#attempts.record({ stored: frames.length, failed });
    this.#executionProvider = executionProvider ?? this.#executionProvider;
    if (frames.length === 0) return;
    this.#model = `${batch.model.name}/${batch.model.version}`;
    this.#megapixelsPerSecond = frames.reduce((sum, { megapixels }) => sum + megapixels, 0) / wallSeconds;
  }

  async run(everyMs: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#beat();
      await rest(this.#clock, everyMs, signal);
    }
  }

  /** Waits until every beat so far is sent. */
  async flush(): Promise<void> {
    await this.#sending;
  }

  #beat(): Promise<void> {
    this.#sequence += 1;
    const { stored, failed } = this.#attempts.counts();
    const metadata = heartbeatMetadata({
      version: 1,
      workerId: this.#workerId,
      vmId: this.#vmId,
      state: this.#state,
      stateSince: this.#stateSince.toISOString(),
      jobId: this.#jobId,
      sequence: this.#sequence,
      sentAt: this.#clock.now().toISOString(),
      executionProvider: this.#executionProvider,
      model: this.#model,
      megapixelsPerSecond: this.#megapixelsPerSecond,
      recentStored: stored,
      recentFailed: failed,
      isTooOld: this.#isTooOld,
      drainEtag: this.#drainEtag,
    });
    this.#sending = this.#sending.then(async () => {
      try {
        await this.#blobs.put('workers', heartbeatBlob(this.#workerId), '', { metadata });
      } catch (error) {
        this.#log.warn({ error }, 'heartbeat not sent');
      }
    });
    return this.#sending;
  }
}
