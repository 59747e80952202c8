/** Ended jobs on the real servers of the intake fixture, and redrive requests for them. */
import { redrivePass } from '../../producer/jobs/redrive.ts';
import { putReport } from '../../producer/jobs/report.ts';
import { StatusPublisher } from '../../producer/jobs/status.ts';
import { redriveBlob } from '../../shared/contract/blob-names.ts';
import type { FailedFramePolicy } from '../../shared/contract/encoding.ts';
import type { JobState } from '../../shared/contract/job.ts';
import { decodeMessage, encodeMessage, poisonMessage } from '../../shared/contract/messages.ts';
import { type FrameRange, toRanges } from '../../shared/contract/ranges.ts';
import { encodeRedriveRequest, REDRIVE_PREFIX } from '../../shared/contract/redrive-request.ts';
import type { LedgerJob } from '../../shared/redis/ledger-job.ts';
import { firstSplit } from './build-job.ts';
import { buildPoison } from './build-poison.ts';
import { startIntakeFixture } from './intake-fixture.ts';
import { openTestQueue } from './test-queue.ts';
import { putFailedFrame, putSegment, uploadJob } from './upload-job.ts';

export const FRAMES = 10;
const FAILURE = { kind: 'inference', message: 'no output' } as const;
/** Segments of the jobs, one a batch. */
const SEGMENTS: readonly FrameRange[] = [
  [0, 5],
  [5, 10],
];

export async function startRedriveFixture() {
  const intake = await startIntakeFixture();
  const { blobs, control } = intake;
  const { ledger, clock } = control;
  const { queue: poison } = await openTestQueue(intake.storage, 'frame-batches-poison');
  const services = { ...control, blobs, poison, sourceBytesMax: 1e9, scanMs: 1 };

  const mustJob = async (jobId: string): Promise<LedgerJob> => {
    const job = await ledger.job(jobId);
    if (job === undefined) throw new Error(`expected the ledger to know ${jobId}`);
    return job;
  };
  const publish = (): Promise<number> =>
    new StatusPublisher({ ...services, onEnded: () => Promise.resolve() }).pass();

  /** Finishes an open job like the fleet does: scores every remaining frame except those in `failing`. */
  async function finish(
    jobId: string,
    { failing = [], as = 'completed' }: { readonly failing?: readonly number[]; readonly as?: JobState } = {},
  ): Promise<void> {
    await ledger.move(jobId, 'running');
    await ledger.planSplit(firstSplit(jobId), {
      batchSize: 5,
      framesExpected: FRAMES,
      megapixelsPerFrame: 1,
    });
    await ledger.finishSplit(firstSplit(jobId), FRAMES);
    for (const frame of failing) await putFailedFrame(blobs, jobId, frame);
    for (const segment of SEGMENTS) await putSegment(blobs, jobId, segment, within(segment, failing));
    const failedBefore = (await ledger.failures(jobId)).map(({ frameIndex }) => frameIndex);
    const unscored = new Set([...failing, ...failedBefore]);
    const scored = Array.from({ length: FRAMES }, (_, frame) => frame).filter(
      (frame) => !unscored.has(frame),
    );
    const failed = failing.length === 0 ? [] : [{ ...FAILURE, frames: toRanges(failing) }];
    const nowMs = clock.now().getTime();
    const outcomes = { batchIndex: null, scored: toRanges(scored), failed, nowMs };
    await ledger.resolve(firstSplit(jobId), outcomes);
    if (as === 'completed') {
      await putReport(services, await mustJob(jobId), { sha256: 'sha256' });
      await ledger.move(jobId, 'completed', { result: { blobName: `${jobId}/harbour.mp4`, sizeBytes: 1 } });
    } else {
      const error = { code: 'TOO_MANY_FAILED_FRAMES', message: 'too many', hint: null };
      await ledger.move(jobId, 'failed', { error });
    }
    await publish();
  }

  return {
    ...intake,
    services,
    mustJob,
    publish,
    finish,
    pass: (): Promise<number> => {
      clock.advance(1000);
      return redrivePass(services);
    },
    /** Creates an ended job with some failed frames. */
    async endedJob(
      jobId: string,
      {
        onFailedFrame = 'keep-original',
        ...end
      }: {
        readonly failing: readonly number[];
        readonly as?: JobState;
        readonly onFailedFrame?: FailedFramePolicy;
      },
    ): Promise<LedgerJob> {
      await uploadJob(blobs, jobId, () => ({ onFailedFrame }));
      await intake.scan();
      await finish(jobId, end);
      return mustJob(jobId);
    },
    /** Writes a request like `npm run poison redrive` does. */
    async request(jobId: string, ...frames: FrameRange[]): Promise<void> {
      const poisonId = `message-${frames.join('-').replaceAll(',', '-')}`;
      const request = encodeRedriveRequest({
        version: 1,
        poisonId,
        frames: frames.map(([start, end]) => [start, end]),
        requestedAt: clock.now().toISOString(),
      });
      await blobs.put('control', redriveBlob(jobId, poisonId), request);
    },
    /** Puts the entry of a failed frame on the poison queue, as the worker did that gave the frame up. */
    async putPoison(jobId: string, frame: number): Promise<void> {
      const entry = buildPoison(`${jobId}-${frame}`, { jobId });
      const batch = entry.batch && { ...entry.batch, frames: [[frame, frame + 1] as const] };
      await poison.send(encodeMessage({ ...entry, batch }));
    },
    /** The ids of the entries that are left on the poison queue, which this empties. */
    async poisonIds(): Promise<string[]> {
      const left = await poison.receiveSeveral({ max: 32, visibilityTimeoutSeconds: 30 });
      await Promise.all(left.map((message) => poison.remove(message)));
      return left
        .map(({ text }) => decodeMessage(text, poisonMessage))
        .flatMap((decoded) => (decoded.kind === 'valid' ? [decoded.message.id] : []));
    },
    /** The request blobs of all jobs. */
    async requests(): Promise<string[]> {
      return namesIn('control', REDRIVE_PREFIX);
    },
    /** The names of the segments and failure records of a job. */
    storedOf: async (jobId: string): Promise<string[]> => namesIn('scored', `${jobId}/`),
    async reset(): Promise<void> {
      await control.redis.flushall();
      for (const name of await namesIn('control', REDRIVE_PREFIX)) await blobs.remove('control', name);
    },
  };

  async function namesIn(container: 'control' | 'scored', prefix: string): Promise<string[]> {
    const names: string[] = [];
    for await (const { name } of blobs.list(container, { prefix })) names.push(name);
    return names;
  }
}
function within([start, end]: FrameRange, frames: readonly number[]): number[] {
  return frames.filter((frame) => frame >= start && frame < end);
}
export type RedriveFixture = Awaited<ReturnType<typeof startRedriveFixture>>;
