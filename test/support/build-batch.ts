/** Builds a valid batch message. A test sets only what it is about. */
import { type BatchMessage, MESSAGE_VERSION, NEW_BATCH_HISTORY } from '../../shared/contract/messages.ts';

type History = BatchMessage['history'];

export function buildBatch({
  history = {},
  ...fields
}: Partial<Omit<BatchMessage, 'history'>> & { readonly history?: Partial<History> } = {}): BatchMessage {
  return {
    version: MESSAGE_VERSION,
    jobId: '20261123-061502-harbour-9f3a1c',
    batchIndex: 3,
    frameStart: 30,
    frameEnd: 40,
    epoch: 1_795_000_000_000,
    model: { name: 'painter', version: '1', sha256: 'a'.repeat(64) },
    parameters: { style: 'starry-night' },
    frameFormat: 'jpg',
    history: { ...NEW_BATCH_HISTORY, ...history },
    ...fields,
  };
}
