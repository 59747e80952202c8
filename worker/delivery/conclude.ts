/**
 * The end of a delivery: `settle` decides, one switch carries it out. What the job must know is told before the message is
 * deleted or released; whoever is killed in between tells it twice, which harms nobody.
 */
import type { ReceivedMessage } from '../../shared/azure/work-queue.ts';
import { encodeMessage } from '../../shared/contract/messages.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { EngineProcess } from '../engine/engine-process.ts';
import type { Heart } from '../host/heartbeat.ts';
import { logFrames } from './frame-log.ts';
import type { Lease } from './lease.ts';
import { type PoisonParts, poisonFrames } from './poison.ts';
import { type ReportParts, report } from './report.ts';
import type { Progress } from './run-frames.ts';
import { type Delivery, type GivenUp, settle } from './settle.ts';
import { readFailures } from './stock.ts';

/** Interruptions that say nothing about the batches of other jobs: those can still be worked. */
const DELAYS_TOLD = new Set<string | undefined>(['model', 'engine', 'passing-on']);

export interface ConcludeParts extends PoisonParts, ReportParts {
  readonly engine: EngineProcess;
  readonly heart: Heart;
  readonly log: Log;
}

export interface Ended {
  readonly message: ReceivedMessage;
  readonly lease: Lease;
  readonly delivery: Delivery;
  readonly progress: Progress;
  readonly wallSeconds: number;
}

export async function conclude(ended: Ended, parts: ConcludeParts): Promise<void> {
  const { message, lease, delivery, progress, wallSeconds } = ended;
  const { engine, heart, log, metrics } = parts;
  const { batch, worker, dequeueCount, failedBefore } = delivery;
  const decision = settle(delivery);
  const frames = [...progress.stored.values()];
  metrics.batches.inc({ settled: decision.kind });
  heart.worked({
    batch,
    frames,
    failedAs: delivery.troubles.map(({ kind }) => kind),
    wallSeconds,
    executionProvider: engine.executionProvider,
  });
  const tell = async (givenUp: readonly GivenUp[], delaySeconds?: number): Promise<void> => {
    // Those given up before are told again, in case the job never heard.
    const failed = [...(await readFailures(batch.jobId, failedBefore, parts.blobs)), ...givenUp];
    await poisonFrames(message, { batch, givenUp }, parts);
    await report(
      { batch, worker, scored: delivery.scored, failed, givenUp, run: frames, wallSeconds, delaySeconds },
      parts,
    );
  };
  switch (decision.kind) {
    case 'complete':
    case 'poison':
      await tell(decision.givenUp);
      await lease.complete();
      break;
    case 'release':
      // A batch that is delayed must not keep others from the queue: the producer has to know. Not while storage is in trouble.
      if (decision.delaySeconds > 0 && DELAYS_TOLD.has(delivery.interruption?.kind))
        await tell(decision.givenUp, decision.delaySeconds);
      else if (delivery.newlyStored > 0 || decision.givenUp.length > 0) await tell(decision.givenUp);
      await lease.release({
        text: encodeMessage({ ...batch, history: decision.history }),
        delaySeconds: decision.delaySeconds,
      });
      break;
    case 'leave':
      break;
  }
  log.info(
    {
      jobId: batch.jobId,
      batchIndex: batch.batchIndex,
      attempt: dequeueCount,
      settled: decision.kind,
      lease: lease.state,
      interruption: delivery.interruption?.kind ?? null,
      frames: batch.frameEnd - batch.frameStart,
      stored: frames.length,
      failed: progress.failed.size,
      givenUp: decision.kind === 'leave' ? 0 : decision.givenUp.length,
      wallSeconds,
    },
    'delivery ended',
  );
  await logFrames({ batch, attempt: dequeueCount, worker }, progress, parts);
}
