/**
 * Runs the open segments of a delivery on the engine until each is stored, or has a frame that another delivery must try, or the run is
 * interrupted.
 *
 * The engine asks before it stores a segment in which frames failed. A frame that has used up its attempts is given up first: an entry on
 * the poison queue, then a record in storage, then the segment with its replacement. A worker that dies in between repeats this.
 */
import type { ReceivedMessage } from '../../shared/azure/work-queue.ts';
import type { FailedFrame } from '../../shared/contract/failed-frame.ts';
import { type BatchMessage, encodeMessage } from '../../shared/contract/messages.ts';
import { type FrameRange, indicesOf } from '../../shared/contract/ranges.ts';
import { segmentsOf } from '../../shared/contract/segment.ts';
import type { RunEnd, RunListener } from '../engine/engine-process.ts';
import type { EngineQuestion } from '../engine/protocol.ts';
import type { Lease } from './lease.ts';
import { afterDeath, keepOpen, nextRun, planRuns, withoutFrame } from './next-run.ts';
import { poisonFrames } from './poison.ts';
import type { DeliveryProgress } from './progress.ts';
import { putFailures } from './resolved-frames.ts';
import type { DeliveryServices } from './services.ts';
import { type RunInterruption, exhaustedFrames } from './settlement.ts';

/** Engine deaths with a frame of the warm-up in native code, after which it is skipped. */
const DEATHS_TO_SKIP = 2;

export interface Delivery {
  readonly message: ReceivedMessage;
  readonly lease: Lease;
  /** With its history as of the start of this delivery. */
  readonly batch: BatchMessage;
  readonly progress: DeliveryProgress;
  /** Called when the batch is nearly scored. */
  readonly onNearlyScored?: () => void;
  /** Aborted when the job is cancelled. */
  readonly cancelled: AbortSignal;
}

/** Records that frames are given up. Safe to repeat. */
export async function giveUpFrames(
  { message, batch, progress }: Pick<Delivery, 'message' | 'batch' | 'progress'>,
  frames: readonly FailedFrame[],
  services: DeliveryServices,
): Promise<void> {
  if (frames.length === 0) return;
  await poisonFrames(message, batch, frames, services);
  await putFailures(batch, frames, services);
  progress.giveUp(frames);
}

/** Returns why the run ended early, or null. Writes `progress` as segments end. */
export async function runBatch(
  delivery: Delivery,
  work: { readonly segments: readonly FrameRange[]; readonly suspects: readonly number[] },
  services: DeliveryServices,
): Promise<RunInterruption | null> {
  const { batch, lease, progress } = delivery;
  const { log, signal } = services;
  const { jobId, batchIndex } = batch;
  const runner = new BatchRunner(delivery, services);
  const isInOrder = batch.contextFrames !== undefined;
  progress.runPlan = planRuns(work.segments, work.suspects, { isInOrder });
  for (;;) {
    const plan = keepOpen(progress.runPlan, (segment) => progress.isOpen(segment));
    progress.runPlan = plan;
    if (signal.aborted) return plan.open.length > 0 ? { kind: 'draining' } : null;
    if (lease.state !== 'held') return null;
    if (runner.interruption !== null) return runner.interruption;

    const next = nextRun(plan);
    if (next.kind === 'done') return null;
    if (next.kind === 'stop')
      return { kind: 'engine', message: progress.lastDeath ?? 'the engine cannot run this batch' };
    if (next.kind === 'fail-frame') {
      const frame = progress.fatalFrame(next.frameIndex, next.deaths);
      progress.recordFailed(frame);
      if (!(await runner.giveUp([frame]))) continue;
      progress.runPlan = withoutFrame(plan, next.frameIndex);
      continue;
    }
    const isLast = next.segments.length === plan.open.length && next.careful.length === 0;
    const end = await runner.run(next.segments, next.careful, isLast);
    if (end.kind === 'refused') return { ...end.refusal };
    if (runner.mustStop()) continue;
    if (end.kind === 'died') {
      progress.lastDeath = end.message;
      progress.runPlan = afterDeath(plan, runner.withoutWarmUp(end.computing));
      log.warn(
        { jobId, batchIndex, suspects: progress.runPlan.suspects, reason: end.message },
        'engine died during batch',
      );
    } else if (next.segments.some((segment) => progress.isOpen(segment))) {
      return { kind: 'engine', message: 'the engine ended its run without reporting every segment' };
    }
  }
}

class BatchRunner {
  readonly #delivery: Delivery;
  readonly #services: DeliveryServices;
  /** Aborted when the worker cannot go on with this batch. */
  readonly #away = new AbortController();
  /** Writes to the message, one after the other. */
  #saving: Promise<unknown> = Promise.resolve();
  #carefulFrame: number | null = null;
  /** Engine deaths with frames of the warm-up in native code. */
  readonly #warmUpDeaths = new Map<number, number>();
  interruption: RunInterruption | null = null;

  constructor(delivery: Delivery, services: DeliveryServices) {
    this.#delivery = delivery;
    this.#services = services;
    const { cancelled } = delivery;
    cancelled.addEventListener('abort', () => this.#cancel(), { once: true });
    if (cancelled.aborted) this.#cancel();
  }

  mustStop(): boolean {
    return (
      this.#services.signal.aborted || this.#away.signal.aborted || this.#delivery.lease.state !== 'held'
    );
  }

  /** `isLast`: no other run of this batch follows, unless this one fails. */
  async run(segments: readonly FrameRange[], careful: readonly number[], isLast: boolean): Promise<RunEnd> {
    const { batch, lease, progress } = this.#delivery;
    const { engine, signal } = this.#services;
    const isCareful = new Set(careful);
    const skipped = this.#skippedInWarmUp();
    const request = {
      ...batch,
      segments: this.#withWarmUp(segments).map(({ frames, isWarmUp }) => {
        const indices = [...indicesOf([frames])];
        const isSkipped = (frameIndex: number): boolean =>
          progress.givenUp.has(frameIndex) || (isWarmUp && skipped.has(frameIndex));
        return {
          frames,
          isWarmUp,
          givenUp: indices.filter(isSkipped),
          careful: isWarmUp ? [] : indices.filter((frameIndex) => isCareful.has(frameIndex)),
        };
      }),
    };
    const discard = AbortSignal.any([lease.signal, this.#away.signal]);
    return engine.run(request, this.#listener(segments, isLast), { stop: signal, discard });
  }

  /** The frames that count against segments of this batch: a death in the warm-up says nothing of them. */
  withoutWarmUp(computing: readonly number[]): number[] {
    const open = new Set(indicesOf(this.#delivery.progress.runPlan.open));
    for (const frameIndex of computing)
      if (!open.has(frameIndex))
        this.#warmUpDeaths.set(frameIndex, (this.#warmUpDeaths.get(frameIndex) ?? 0) + 1);
    return computing.filter((frameIndex) => open.has(frameIndex));
  }

  /** With what a model with a state must have seen before: frames before the batch, and segments that are stored. */
  #withWarmUp(
    segments: readonly FrameRange[],
  ): { readonly frames: FrameRange; readonly isWarmUp: boolean }[] {
    const { contextFrames, frameStart, frameEnd, segmentFrames } = this.#delivery.batch;
    const wanted = segments.map((frames) => ({ frames, isWarmUp: false }));
    if (contextFrames === undefined) return wanted;
    const starts = new Set(segments.map(([start]) => start));
    const last = Math.max(...starts);
    const contextStart = Math.max(0, frameStart - contextFrames);
    const context: FrameRange[] = contextStart < frameStart ? [[contextStart, frameStart]] : [];
    const upToLast = segmentsOf([frameStart, frameEnd], segmentFrames).filter(([start]) => start <= last);
    return [...context, ...upToLast].map((frames) => ({ frames, isWarmUp: !starts.has(frames[0]) }));
  }

  /** In stored segments, the frames that the run which stored them skipped, too. */
  #skippedInWarmUp(): ReadonlySet<number> {
    const { replaced } = this.#delivery.progress.storedFrames();
    const fatal = [...this.#warmUpDeaths].filter(([, deaths]) => deaths >= DEATHS_TO_SKIP);
    return new Set([...replaced, ...fatal.map(([frameIndex]) => frameIndex)]);
  }

  #listener(segments: readonly FrameRange[], isLast: boolean): RunListener {
    const wanted = new Set(indicesOf(segments));
    const { progress, onNearlyScored } = this.#delivery;
    const { metrics } = this.#services;
    return {
      computed: (frameIndex) => {
        if (wanted.has(frameIndex)) progress.recordComputed(frameIndex);
        if (frameIndex !== this.#carefulFrame) return;
        this.#carefulFrame = null;
        void this.#save(null);
      },
      nearlyScored: () => {
        if (isLast) onNearlyScored?.();
      },
      failed: (frame) => {
        progress.recordFailed(frame);
        metrics.framesFailed.inc({ kind: frame.kind });
      },
      answer: async (question) => {
        try {
          return await this.#answer(question);
        } catch (error) {
          this.#interrupt(error, 'storage is unavailable');
          return false;
        }
      },
      stored: (segment) => {
        progress.recordStored(segment);
        metrics.framesStored.inc(segment.scored.length);
        for (const { megapixels, stageSeconds } of segment.scored) {
          metrics.megapixels.inc(megapixels);
          for (const [stage, seconds] of Object.entries(stageSeconds))
            metrics.stageSeconds.inc({ stage }, seconds);
        }
      },
    };
  }

  async #answer(question: EngineQuestion): Promise<boolean> {
    if (this.#away.signal.aborted || this.#delivery.lease.state !== 'held') return false;
    // A draining worker still stores what is finished.
    if (question.kind === 'store') return this.#mayStore(question.frames, new Set(question.failed));
    return !this.#services.signal.aborted && this.#announce(question.frameIndex);
  }

  /** If this worker dies now, the next one knows which frame it was. */
  async #announce(frameIndex: number): Promise<boolean> {
    const { jobId, batchIndex } = this.#delivery.batch;
    this.#carefulFrame = frameIndex;
    if (!(await this.#save(frameIndex))) {
      if (this.#delivery.lease.state === 'held') this.#interrupt(null, 'the lease could not be renewed');
      return false;
    }
    this.#services.log.info({ jobId, batchIndex, frame: frameIndex }, 'trying frame alone');
    return true;
  }

  #save(carefulFrame: number | null): Promise<boolean> {
    const { batch, lease } = this.#delivery;
    const text = encodeMessage({ ...batch, history: { ...batch.history, carefulFrame } });
    const saved = this.#saving.then(() => lease.save(text));
    this.#saving = saved;
    return saved;
  }

  /** Gives up frames that have used up their attempts. If others have failed, the segment is left for another delivery. */
  async #mayStore(segment: FrameRange, failed: ReadonlySet<number>): Promise<boolean> {
    if (failed.size === 0) return true;
    const { batch, progress } = this.#delivery;
    const failures = progress.failures().filter(({ frameIndex }) => failed.has(frameIndex));
    const exhausted = exhaustedFrames(batch.history, failures, this.#services.workerId);
    if (!(await this.giveUp(exhausted))) return false;
    if (exhausted.length === failed.size) return true;
    progress.leaveForNextDelivery(segment);
    return false;
  }

  /** Returns false if that is not possible: the run is then interrupted. */
  async giveUp(frames: readonly FailedFrame[]): Promise<boolean> {
    try {
      await giveUpFrames(this.#delivery, frames, this.#services);
      return true;
    } catch (error) {
      this.#interrupt(error, 'storage is unavailable');
      return false;
    }
  }

  #cancel(): void {
    this.interruption ??= { kind: 'cancelled' };
    this.#away.abort();
  }

  #interrupt(error: unknown, message: string): void {
    const { jobId, batchIndex } = this.#delivery.batch;
    this.#services.log.warn({ jobId, batchIndex, error, reason: message }, 'batch interrupted');
    this.interruption ??= { kind: 'storage', message };
    this.#away.abort();
  }
}
