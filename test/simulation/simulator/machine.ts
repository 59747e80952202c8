/**
 * A simulated machine with its worker. It boots or fails to, sends heartbeats, receives batches under a lease, and drains on request; it
 * can hang, lose its connection or be evicted. Time advances from event to event.
 *
 *   off ──▶ booting ──▶ idle ⇄ busy ──▶ draining ──▶ drained
 *
 * It behaves as the real worker does (`worker/README.md`): it looks for its drain request before each receive, finishes the batch that
 * it holds, stays drained, and abandons a batch whose lease it could not renew.
 */
import type { InstancePhase } from '../../../scaler/fleet/fleet.ts';
import type { Heartbeat, WorkerState } from '../../../shared/contract/heartbeat.ts';
import type { Dice } from './dice.ts';
import { type SimulatedJob, type SimulatedWork, complete, giveBack } from './work.ts';

const BEAT_EVERY_MS = 5_000;
const IDLE_POLL_MS_MAX = 30_000;
const ENGINE_START_MS = 8_000;
const LOOKS_UNANSWERED = 0.01;
/** More events than a worker can have between two advances. */
const STEPS_MAX = 50;

export interface Fate {
  readonly bootMs: number;
  readonly neverBoots: boolean;
  /** When its worker hangs while the machine stays; Infinity: never. */
  readonly hangsAtMs: number;
  readonly isFaulty: boolean;
  /** From when the cloud reports it as failed, whatever it does; Infinity: never. */
  readonly calledFailedAtMs: number;
}

/** The world around a worker at one moment. */
export interface Surroundings {
  readonly work: SimulatedWork;
  readonly dice: Dice;
  readonly leaseMs: number;
  /** The etag of a machine's drain request. */
  readonly drainEtag: (vmId: string) => string | undefined;
  readonly isCutOff: boolean;
  readonly areBeatsHeld: boolean;
}

export class SimulatedMachine {
  readonly pool: string;
  readonly instanceId: string;
  readonly vmId: string;
  readonly createdAtMs: number;
  #fate: Fate;
  phase: InstancePhase = 'creating';
  /** When it is deleted or switched off. */
  takenAtMs = Infinity;
  state: WorkerState | 'off' = 'off';
  stateSinceMs = 0;
  held: SimulatedJob | null = null;
  leaseUntilMs = 0;
  drainEtag: string | null = null;
  beat: Heartbeat | null = null;
  beatWrittenAtMs = 0;
  #nextAtMs: number;
  #sequence = 0;
  #nextBeatAtMs = 0;
  #stored = 0;
  #failed = 0;

  constructor(made: {
    readonly pool: string;
    readonly instanceId: string;
    readonly vmId: string;
    readonly createdAtMs: number;
    readonly fate: Fate;
  }) {
    this.pool = made.pool;
    this.instanceId = made.instanceId;
    this.vmId = made.vmId;
    this.createdAtMs = made.createdAtMs;
    this.#fate = made.fate;
    this.#nextAtMs = made.createdAtMs + made.fate.bootMs;
  }

  /** It is running and holds a batch under a lease: removing it now would lose work. */
  holdsLease(atMs: number): boolean {
    return this.held !== null && this.leaseUntilMs > atMs && this.#isUp(atMs);
  }

  advance(atMs: number, around: Surroundings): void {
    if (this.phase === 'deleting' || this.phase === 'stopped') return;
    if (this.phase === 'creating' && atMs >= this.createdAtMs + this.#fate.bootMs * 0.6) {
      this.phase = 'running';
    }
    if (this.phase === 'running' && atMs >= this.#fate.calledFailedAtMs) this.phase = 'failed';
    if (!this.#isUp(atMs)) {
      this.#loseLease(atMs);
      return;
    }
    if (around.isCutOff) {
      this.#loseLease(atMs);
      this.#nextAtMs = Math.max(this.#nextAtMs, atMs);
      return;
    }
    for (let steps = 0; this.#nextAtMs <= atMs && steps < STEPS_MAX; steps += 1) this.#step(around);
    this.#noticeRequest(atMs, around);
    if (this.held !== null) this.leaseUntilMs = atMs + around.leaseMs;
    if (this.state !== 'off' && !around.areBeatsHeld && this.#nextBeatAtMs <= atMs) this.#write(atMs);
  }

  /**
   * The faults are over: an operator switches off a machine that hangs, and a faulty worker recovers. Machines that never boot are left
   * to the scaler.
   */
  heal(atMs: number): void {
    const hasHung = this.#fate.hangsAtMs <= atMs;
    if (hasHung) this.takenAtMs = Math.min(this.takenAtMs, atMs);
    this.#fate = {
      ...this.#fate,
      hangsAtMs: hasHung ? this.#fate.hangsAtMs : Infinity,
      isFaulty: false,
      calledFailedAtMs: Infinity,
    };
    if (this.phase === 'failed') this.phase = 'running';
  }

  /** An eviction notice: the worker releases its batch. */
  notice(atMs: number): void {
    if (this.state === 'off' || this.state === 'drained') return;
    if (this.held !== null) giveBack(this.held);
    this.held = null;
    this.#become('drained', atMs);
    this.#nextAtMs = Infinity;
  }

  /** The machine is switched off or deleted. A batch that it holds goes back to the queue. */
  end(phase: 'stopped' | 'deleting', atMs: number): void {
    this.phase = phase;
    this.takenAtMs = Math.min(this.takenAtMs, atMs);
    if (this.held !== null) giveBack(this.held);
    this.held = null;
  }

  #isUp(atMs: number): boolean {
    return !this.#fate.neverBoots && atMs < this.#fate.hangsAtMs && atMs < this.takenAtMs;
  }

  #loseLease(atMs: number): void {
    if (this.held === null || this.leaseUntilMs > atMs) return;
    giveBack(this.held);
    this.held = null;
    if (this.state === 'busy') this.#become('idle', atMs);
    if (this.state === 'draining') this.#become('drained', atMs);
    this.#nextAtMs = atMs;
  }

  #step(around: Surroundings): void {
    const atMs = this.#nextAtMs;
    switch (this.state) {
      case 'off':
        this.#become('booting', atMs);
        this.#nextAtMs = atMs + ENGINE_START_MS;
        return;
      case 'booting':
      case 'idle':
        this.#receive(atMs, around);
        return;
      case 'busy':
      case 'draining':
        this.#settle(atMs, around);
        return;
      case 'drained':
        this.#nextAtMs = Infinity;
    }
  }

  /** A busy worker reports the request at once and finishes its batch. A drained worker quotes the newest request. */
  #noticeRequest(atMs: number, { dice, drainEtag }: Surroundings): void {
    const isWorking = this.state === 'busy';
    if ((!isWorking && this.state !== 'drained') || dice.chance(LOOKS_UNANSWERED)) return;
    const etag = drainEtag(this.vmId);
    if (etag === undefined) return;
    this.drainEtag = etag;
    if (isWorking) this.#become('draining', atMs);
  }

  #receive(atMs: number, { work, dice, drainEtag }: Surroundings): void {
    // If storage does not answer, the worker finds no request.
    const found = dice.chance(LOOKS_UNANSWERED) ? undefined : drainEtag(this.vmId);
    const etag = found ?? (this.state === 'draining' ? this.drainEtag : undefined);
    if (etag !== undefined) {
      this.drainEtag = etag;
      this.#become('drained', atMs);
      this.#nextAtMs = Infinity;
      return;
    }
    const job = work.receive(dice.whole(0, 1000));
    if (job === undefined) {
      if (this.state !== 'idle') this.#become('idle', atMs);
      this.#nextAtMs = atMs + dice.between(500, IDLE_POLL_MS_MAX);
      return;
    }
    this.held = job;
    this.#become('busy', atMs);
    this.#nextAtMs = atMs + job.plan.batchMs * dice.between(0.7, 1.5);
  }

  #settle(atMs: number, around: Surroundings): void {
    const job = this.held;
    if (job !== null && this.#fate.isFaulty) {
      this.#failed += job.plan.framesPerBatch;
      giveBack(job);
    } else if (job !== null) {
      this.#stored += job.plan.framesPerBatch;
      complete(job);
    }
    this.held = null;
    this.#receive(atMs, around);
  }

  #become(state: WorkerState, atMs: number): void {
    this.state = state;
    this.stateSinceMs = atMs;
    this.#nextBeatAtMs = 0;
  }

  #write(atMs: number): void {
    if (this.state === 'off') return;
    this.#sequence += 1;
    this.#nextBeatAtMs = atMs + BEAT_EVERY_MS;
    this.beatWrittenAtMs = atMs;
    this.beat = {
      version: 1,
      workerId: `${this.vmId}-0`,
      vmId: this.vmId,
      state: this.state,
      stateSince: new Date(this.stateSinceMs).toISOString(),
      sequence: this.#sequence,
      sentAt: new Date(atMs).toISOString(),
      jobId: null,
      executionProvider: null,
      model: null,
      megapixelsPerSecond: null,
      recentStored: this.#stored,
      recentFailed: this.#failed,
      isTooOld: false,
      drainEtag: this.drainEtag,
    };
  }
}
