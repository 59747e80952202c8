/**
 * Opens a job in the ledger from storage: its trigger, source and model, and the outcomes of its frames.
 *
 * If several producers try, exactly one opens the job. Storage is read before, to keep the time short in which the job is open
 * but its outcomes are missing, because frames without an outcome are scored again.
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
import { readCap } from './caps.ts';
import { cancelledError, ledgerControlOf, readJobControl } from './job-controls.ts';
import { resolveModel } from './model-catalogue.ts';
import { splitInStorage } from './source-plans.ts';
import { publishRefusal } from './status.ts';
import type { Steps } from './steps.ts';
import { readOutcomes } from './stored-outcomes.ts';

/** A trigger is user input and is read into memory. A valid one has about a thousand bytes. */
const TRIGGER_BYTES_MAX = 64 * 1024;

export interface OpenJobServices {
  readonly blobs: BlobStore;
  readonly ledger: Ledger;
  readonly steps: Steps;
  /** The whole source is downloaded; a larger one would fill the disk that all jobs share. */
  readonly sourceBytesMax: number;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * opened   this call opened the job
 * known    the ledger already knows the job
 * absent   the job has no trigger
 * refused  the job cannot be opened; its status has the reason
 */
export type OpenResult = 'opened' | 'known' | 'absent' | 'refused';

/** `earlierModel` is the model of an earlier run, if any: a job never changes its model. */
export async function openJob(
  services: OpenJobServices,
  jobId: string,
  earlierModel?: JobRequest['model'],
): Promise<OpenResult> {
  const { blobs, ledger, steps, clock, log } = services;
  const trigger = await blobs.stat('incoming', triggerBlob(jobId));
  if (trigger === undefined) return 'absent';
  const epoch = clock.now().getTime();
  try {
    const request = await readTrigger(blobs, jobId, trigger.sizeBytes);
    await checkSource(blobs, request, services.sourceBytesMax);
    const resolved = await resolveModel(blobs, { ...request, model: earlierModel ?? request.model });
    const splitNumber = await splitInStorage(blobs, jobId);
    const { scored, failed } = await readOutcomes(blobs, { jobId, splitNumber });
    const cap = await readCap(services, jobId);
    const control = await readJobControl(services, jobId);
    if (control?.order === 'cancel') throw cancelledError(jobId);
    if (!(await ledger.open({ request, ...resolved, epoch }, splitNumber))) return 'known';
    const asked = { pausedAtMs: 0, priority: request.priority };
    const wanted = control === undefined ? undefined : ledgerControlOf(control, asked, epoch);
    if (wanted !== undefined) await ledger.setControl(jobId, wanted);
    if (cap !== undefined) await ledger.setControl(jobId, { spendingMax: cap.spendingMax });
    await ledger.resolve({ jobId, splitNumber }, { batchIndex: null, scored, failed, nowMs: epoch });
    const found = {
      framesScored: countOf(scored),
      framesFailed: countOf(failed.flatMap(({ frames }) => frames)),
    };
    log.info(
      { jobId, model: resolved.model.name, sizeBytes: request.source.sizeBytes, ...found },
      'job opened',
    );
    await steps.add('split', { jobId, epoch, splitNumber }, wanted?.priority ?? request.priority);
  } catch (error) {
    if (!(error instanceof PermanentError)) throw error;
    log.warn({ jobId, error }, 'job refused');
    await publishRefusal(blobs, { jobId, error, now: clock.now() });
    return 'refused';
  }
  return 'opened';
}

async function readTrigger(blobs: BlobStore, jobId: string, sizeBytes: number): Promise<JobRequest> {
  const refusal = (reason: string): PermanentError =>
    new PermanentError('JOB_INVALID', `The trigger ${triggerBlob(jobId)} is not valid: ${reason}.`, {
      hint: 'Enqueue the video again with `npm run enqueue`, which writes a valid trigger.',
    });
  if (sizeBytes > TRIGGER_BYTES_MAX) throw refusal(`it has ${sizeBytes} bytes`);
  const json = parseJson(String(await blobs.get('incoming', triggerBlob(jobId))));
  if (json === undefined) throw refusal('it is not JSON');
  const parsed = jobRequest.safeParse(json);
  if (!parsed.success) throw refusal(firstIssue(parsed.error));
  if (parsed.data.jobId !== jobId) throw refusal('it names another job');
  return parsed.data;
}

/** Throws unless the source is complete and is the file that the trigger names. An incomplete upload never starts a job. */
async function checkSource(
  blobs: BlobStore,
  { jobId, source }: JobRequest,
  sizeBytesMax: number,
): Promise<void> {
  const found = await blobs.stat('incoming', sourceBlob(jobId, source.name));
  if (found !== undefined && found.sizeBytes > sizeBytesMax) {
    throw new PermanentError(
      'SOURCE_TOO_LARGE',
      `The video ${JSON.stringify(source.name)} is too large: it has ${sizeText(found.sizeBytes)}, the limit is ${sizeText(sizeBytesMax)}.`,
      {
        hint: 'Cut the video or encode it at a lower bit rate. To raise the limit, give the producer more disk space (FRAMEFLEET_WORK_BYTES_MAX).',
      },
    );
  }
  if (found?.etag === source.etag && found.sizeBytes === source.sizeBytes) return;
  const why = found === undefined ? 'it is not in storage' : 'it is not the file that the trigger names';
  throw new PermanentError(
    'SOURCE_CHANGED',
    `The video ${JSON.stringify(source.name)} cannot be used: ${why}.`,
    {
      hint: 'Enqueue it again, and do not change the uploaded file until the job has ended.',
    },
  );
}

function sizeText(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(3)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}
