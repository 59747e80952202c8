/**
 * Opens a job in the ledger from what stands in storage: its trigger, its source, its model, and what has become of its frames.
 *
 * Of several producers one opens it. What storage holds is read before, so that the time between being open and being complete
 * is short: a ledger that knows of no frames has all of them done again.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { sourceBlob, triggerBlob } from '../../shared/contract/blob-names.ts';
import { type JobRequest, jobRequest } from '../../shared/contract/job.ts';
import { firstIssue } from '../../shared/contract/messages.ts';
import { parseJson } from '../../shared/contract/parse-json.ts';
import { countOf } from '../../shared/contract/ranges.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { readCap } from '../jobs/caps.ts';
import { publishRefusal } from '../jobs/status.ts';
import type { Steps } from '../jobs/steps.ts';
import { storedOutcomes } from '../jobs/stored-outcomes.ts';
import { resolveModel } from './model-catalogue.ts';

/** What people write is read into memory: a request is a thousand bytes. */
const TRIGGER_BYTES_MAX = 64 * 1024;

export interface OpenJobParts {
  readonly blobs: BlobStore;
  readonly ledger: Ledger;
  readonly steps: Steps;
  /** A source is downloaded whole: a larger one would fill the disk of everybody's jobs. */
  readonly sourceBytesMax: number;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * opened   it is open now, by us
 * known    the ledger knew it already
 * absent   it has no trigger
 * refused  it cannot be opened, and its status says why
 */
export type Opening = 'opened' | 'known' | 'absent' | 'refused';

/** `model` is the one that an earlier run has used: a job's model never changes. */
export async function openJob(
  parts: OpenJobParts,
  jobId: string,
  { model: modelBefore }: { readonly model?: JobRequest['model'] | undefined } = {},
): Promise<Opening> {
  const { blobs, ledger, steps, clock, log } = parts;
  const trigger = await blobs.stat('incoming', triggerBlob(jobId));
  if (trigger === undefined) return 'absent';
  const epoch = clock.now().getTime();
  try {
    const request = await readTrigger(blobs, { jobId, sizeBytes: trigger.sizeBytes });
    await checkSource(blobs, request, parts.sourceBytesMax);
    const model = await resolveModel(blobs, { ...request, model: modelBefore ?? request.model });
    const { scored, failed } = await storedOutcomes(blobs, jobId);
    const cap = await readCap(parts, jobId);
    if (!(await ledger.open({ request, model, epoch }))) return 'known';
    if (cap !== undefined) await ledger.setCap(jobId, cap.spendingMax);
    await ledger.resolve(jobId, { batchIndex: null, scored, failed, nowMs: epoch });
    const found = {
      framesScored: countOf(scored),
      framesFailed: countOf(failed.flatMap(({ frames }) => frames)),
    };
    log.info({ jobId, model: model.name, sizeBytes: request.source.sizeBytes, ...found }, 'job opened');
  } catch (error) {
    if (!(error instanceof PermanentError)) throw error;
    log.warn({ jobId, error }, 'job refused');
    await publishRefusal(blobs, { jobId, error, now: clock.now() });
    return 'refused';
  }
  await steps.add('split', { jobId, epoch });
  return 'opened';
}

async function readTrigger(
  blobs: BlobStore,
  { jobId, sizeBytes }: { readonly jobId: string; readonly sizeBytes: number },
): Promise<JobRequest> {
  const refusal = (reason: string): PermanentError =>
    new PermanentError('JOB_INVALID', `The trigger ${triggerBlob(jobId)} cannot be used: ${reason}.`, {
      hint: 'Enqueue the video again; `npm run enqueue` writes a valid trigger.',
    });
  if (sizeBytes > TRIGGER_BYTES_MAX) throw refusal(`it has ${sizeBytes} bytes`);
  const json = parseJson(String(await blobs.get('incoming', triggerBlob(jobId))));
  if (json === undefined) throw refusal('it is not JSON');
  const parsed = jobRequest.safeParse(json);
  if (!parsed.success) throw refusal(firstIssue(parsed.error));
  if (parsed.data.jobId !== jobId) throw refusal('it names another job');
  return parsed.data;
}

/** Half an upload never starts a job: the source is there, and is the one that the trigger speaks of. */
async function checkSource(
  blobs: BlobStore,
  { jobId, source }: JobRequest,
  sizeBytesMax: number,
): Promise<void> {
  const found = await blobs.stat('incoming', sourceBlob(jobId, source.name));
  if (found !== undefined && found.sizeBytes > sizeBytesMax) {
    throw new PermanentError(
      'SOURCE_TOO_LARGE',
      `The video ${JSON.stringify(source.name)} is too large: ${sizeText(found.sizeBytes)}, of ${sizeText(sizeBytesMax)} at most.`,
      {
        hint: 'Cut it, or encode it smaller. It must fit the producer’s disk, with its result and other jobs: FRAMEFLEET_WORK_BYTES_MAX.',
      },
    );
  }
  if (found?.etag === source.etag && found.sizeBytes === source.sizeBytes) return;
  const why = found === undefined ? 'it is not there' : 'it is not the file that the trigger speaks of';
  throw new PermanentError(
    'SOURCE_CHANGED',
    `The video ${JSON.stringify(source.name)} cannot be used: ${why}.`,
    {
      hint: 'Enqueue it again, and leave the upload alone until it is done.',
    },
  );
}

function sizeText(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(3)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}
