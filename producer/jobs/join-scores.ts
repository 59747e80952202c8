/** Joins the numbers of all frames to one result: `scores.ndjson`, a line for each frame with its time or name. Memory is bounded by a segment. */
import { createHash } from 'node:crypto';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { scoresBlob } from '../../shared/contract/blob-names.ts';
import { type FrameFacts, withFacts } from '../../shared/contract/scores.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';

/** Of a part of the result. Storage takes 50,000. */
const PART_BYTES = 8 * 1024 * 1024;

export interface JoinedScores {
  readonly blobName: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

export interface ScoresToJoin {
  /** In order, from the first frame to the last. */
  readonly segments: AsyncIterable<Buffer>;
  readonly frameCount: number;
  /** What is known of a frame besides. */
  readonly factsOf: (frameIndex: number) => FrameFacts;
  readonly signal: AbortSignal;
}

/** Throws JOB_INVALID if the segments do not hold one line for each frame. */
export async function joinScores(
  blobs: BlobStore,
  jobId: string,
  { segments, frameCount, factsOf, signal }: ScoresToJoin,
): Promise<JoinedScores> {
  const blobName = scoresBlob(jobId);
  const upload = blobs.putBlocks('results', blobName, { contentType: 'application/x-ndjson', signal });
  const hash = createHash('sha256');
  const ids: string[] = [];
  let sizeBytes = 0;
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  const putPart = async (): Promise<void> => {
    ids.push(await upload.putBlock(Buffer.concat(waiting)));
    [waiting, waitingBytes] = [[], 0];
  };
  for await (const lines of completeLines({ segments, frameCount, factsOf })) {
    hash.update(lines);
    sizeBytes += lines.length;
    waiting.push(lines);
    waitingBytes += lines.length;
    if (waitingBytes >= PART_BYTES) await putPart();
  }
  if (waitingBytes > 0) await putPart();
  await upload.commit(ids);
  return { blobName, sizeBytes, sha256: hash.digest('hex') };
}

async function* completeLines({
  segments,
  frameCount,
  factsOf,
}: Omit<ScoresToJoin, 'signal'>): AsyncGenerator<Buffer, void> {
  let frameIndex = 0;
  for await (const segment of segments) {
    const lines = segment.toString('utf8').split('\n').slice(0, -1);
    const complete = lines.map((line) => {
      frameIndex += 1;
      return lineOf(line, frameIndex - 1, factsOf(frameIndex - 1));
    });
    yield Buffer.from(complete.join(''));
  }
  if (frameIndex !== frameCount) throw invalid(`they have ${frameIndex} lines for ${frameCount} frames`);
}

function lineOf(line: string, frameIndex: number, facts: FrameFacts): string {
  try {
    return `${withFacts(line, frameIndex, facts)}\n`;
  } catch (cause) {
    throw invalid(cause instanceof Error ? cause.message : String(cause));
  }
}

function invalid(why: string): PermanentError {
  return new PermanentError('JOB_INVALID', `The numbers of the frames cannot be joined: ${why}.`, {
    hint: 'Enqueue the video again. If this error recurs, report it.',
  });
}
