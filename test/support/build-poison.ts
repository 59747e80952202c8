/** Builds a valid entry of the poison queue. A test sets only what it is about. */
import { MESSAGE_VERSION, type PoisonMessage, encodeMessage } from '../../shared/contract/messages.ts';
import { buildBatch } from './build-batch.ts';
import { MODEL_SHA256 } from './build-job.ts';

export function buildPoison(
  id: string,
  { jobId = 'job-1', ...changes }: Partial<PoisonMessage> & { readonly jobId?: string } = {},
): PoisonMessage {
  return {
    version: MESSAGE_VERSION,
    id,
    reason: 'inference',
    message: 'no output',
    batch: {
      jobId,
      batchIndex: 1,
      model: { name: 'painter', version: '1', sha256: MODEL_SHA256 },
      frames: [
        [12, 15],
        [20, 21],
      ],
    },
    attempts: 3,
    dequeueCount: 4,
    worker: 'vm-0',
    insertedAt: '2026-11-23T06:15:02.000Z',
    poisonedAt: '2026-11-23T06:20:00.000Z',
    body: encodeMessage(buildBatch({ jobId })),
    ...changes,
  };
}
