/**
 * The worker's heartbeat: an empty blob in `workers` whose metadata says how it is. Best effort: a beat that cannot be sent
 * is not missed by anybody but the scaler, which knows how to wait.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { heartbeatBlob } from '../../shared/contract/blob-names.ts';
import { type WorkerState, heartbeatMetadata } from '../../shared/contract/heartbeat.ts';
import type { BatchMessage, FailureKind } from '../../shared/contract/messages.ts';
import { type Clock, rest } from '../../shared/runtime/clock.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { FrameStored } from '../engine/protocol.ts';
import { RecentTries } from './recent-tries.ts';

/** The gate: from each state, where a worker may go. */
const MOVES: Readonly<Record<WorkerState, readonly WorkerState[]>> = {
  booting: ['idle', 'busy', 'draining', 'drained'],
  idle: ['busy', 'draining', 'drained'],
  busy: ['idle', 'draining', 'drained'],
  draining: ['drained'],
  drained: [],
};

export class Heart {
  readonly #blobs: BlobStore;
  readonly #workerId: string;
  readonly #vmId: string;
  readonly #clock: Clock;
  readonly #log: Log;
  #state: WorkerState = 'booting';
  #stateSince: Date;
  #sequence = 0;
  #sending: Promise<void> = Promise.resolve();
  #executionProvider: string | null = null;
  readonly #tries: RecentTries;
  #isTooOld = false;
  #drainEtag: string | null = null;
  #model: string | null = null;
  #megapixelsPerSecond: number | null = null;

  constructor(parts: {
    readonly blobs: BlobStore;
    readonly workerId: string;
    readonly vmId: string;
    readonly clock: Clock;
    readonly log: Log;
  }) {
    this.#blobs = parts.blobs;
    this.#workerId = parts.workerId;
    this.#vmId = parts.vmId;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#stateSince = parts.clock.now();
    this.#tries = new RecentTries(parts.clock);
  }

  get state(): WorkerState {
    return this.#state;
  }

  /** A change of state is told at once, in the order of the changes. Whoever drains does not come back. */
  become(state: WorkerState): void {
    if (!MOVES[this.#state].includes(state)) return;
    this.#state = state;
    this.#stateSince = this.#clock.now();
    void this.#beat();
  }

  /** The provider that the probe found, before any model is loaded. */
  probed(executionProvider: string): void {
    this.#executionProvider = executionProvider;
  }

  /** There are messages that only newer workers understand. */
  isTooOld(): void {
    this.#isTooOld = true;
  }

  /** Quotes a drain request: what is said from now on is said to this request. */
  consent(etag: string): void {
    if (etag === this.#drainEtag) return;
    this.#drainEtag = etag;
    if (this.#state === 'draining' || this.#state === 'drained') void this.#beat();
  }

  /** What the last delivery says of how fast this worker is. */
  worked({
    batch,
    frames,
    failedAs,
    wallSeconds,
    executionProvider,
  }: {
    readonly batch: BatchMessage;
    readonly frames: readonly FrameStored[];
    readonly failedAs: readonly FailureKind[];
    readonly wallSeconds: number;
    readonly executionProvider: string | null;
  }): void {
    this.#tries.record({ stored: frames.length, failedAs });
    this.#executionProvider = executionProvider ?? this.#executionProvider;
    if (frames.length === 0) return;
    this.#model = `${batch.model.name}/${batch.model.version}`;
    this.#megapixelsPerSecond = frames.reduce((sum, { megapixels }) => sum + megapixels, 0) / wallSeconds;
  }

  async run({ everyMs, signal }: { readonly everyMs: number; readonly signal: AbortSignal }): Promise<void> {
    while (!signal.aborted) {
      await this.#beat();
      await rest(this.#clock, everyMs, signal);
    }
  }

  /** Waits for what is on its way. */
  async flush(): Promise<void> {
    await this.#sending;
  }

  #beat(): Promise<void> {
    this.#sequence += 1;
    const { stored, failed } = this.#tries.counts();
    const metadata = heartbeatMetadata({
      version: 1,
      workerId: this.#workerId,
      vmId: this.#vmId,
      state: this.#state,
      stateSince: this.#stateSince.toISOString(),
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
