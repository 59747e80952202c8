/**
 * Sees triggers and opens jobs: from Event Grid's messages, and from a scan of what no message told of.
 *
 * A job is opened once, however often its trigger is seen. One that cannot be opened (no such model, half an upload) gets a
 * status that says why. What storage already holds of a job counts: a lost ledger is rebuilt here.
 */
import type { BlobStore } from '../shared/azure/blob-store.ts';
import type { WorkQueue } from '../shared/azure/work-queue.ts';
import {
  frameIndexOf,
  jobIdOfTrigger,
  jobPrefix,
  sourceBlob,
  statusBlob,
  triggerBlob,
} from '../shared/contract/blob-names.ts';
import { type JobRequest, isTerminal, jobRequest, jobStatus } from '../shared/contract/job.ts';
import { firstIssue } from '../shared/contract/messages.ts';
import { parseJson } from '../shared/contract/parse-json.ts';
import { toRanges } from '../shared/contract/ranges.ts';
import type { Ledger } from '../shared/control/ledger.ts';
import type { Steps } from '../shared/control/steps.ts';
import type { Clock } from '../shared/runtime/clock.ts';
import { PermanentError } from '../shared/runtime/errors.ts';
import type { Log } from '../shared/runtime/log.ts';
import { createdBlobs } from './media-event.ts';
import type { ProducerMetrics } from './metrics.ts';
import { resolveModel } from './model-catalogue.ts';
import { publishRefusal } from './status.ts';

/** Long enough to open a job, short enough that a killed producer's event is soon seen by another. */
const EVENT_LEASE_SECONDS = 60;
const PASS_MS = 500;
/** What people write is read into memory: a request is a thousand bytes. */
const TRIGGER_BYTES_MAX = 64 * 1024;

export interface IntakeParts {
  readonly blobs: BlobStore;
  readonly events: WorkQueue;
  readonly ledger: Ledger;
  readonly steps: Steps;
  readonly scanMs: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: ProducerMetrics;
}

export class Intake {
  readonly #parts: IntakeParts;
  /** Jobs that ended before this ledger knew them: looked at once. */
  readonly #ended = new Set<string>();
  #nextScanAtMs = 0;

  constructor(parts: IntakeParts) {
    this.#parts = parts;
  }

  /** One event, or a scan where one is due; returns how long to rest. */
  async pass(): Promise<number> {
    if (await this.#takeEvent()) return 0;
    const { clock, scanMs } = this.#parts;
    if (clock.monotonicMs() >= this.#nextScanAtMs) {
      await this.#scan();
      this.#nextScanAtMs = clock.monotonicMs() + scanMs;
    }
    return Math.min(PASS_MS, scanMs);
  }

  async #takeEvent(): Promise<boolean> {
    const { events, log, metrics } = this.#parts;
    const message = await events.receive({ visibilityTimeoutSeconds: EVENT_LEASE_SECONDS });
    if (message === undefined) return false;
    const created = createdBlobs(message.text);
    if (created === undefined) {
      metrics.messagesRefused.inc({ queue: events.name });
      log.warn({ messageId: message.messageId }, 'media event refused: not an event');
    }
    const opened = (created ?? []).map(async ({ container, name }) => {
      const jobId = container === 'incoming' ? jobIdOfTrigger(name) : undefined;
      return jobId === undefined || this.#tryToOpen(jobId);
    });
    // An event that could not be followed comes back after its lease.
    if ((await Promise.all(opened)).every(Boolean)) await events.remove(message);
    return true;
  }

  async #scan(): Promise<void> {
    const { blobs, ledger, steps } = this.#parts;
    for await (const folder of blobs.listFolders('incoming')) {
      const jobId = jobIdOfTrigger(`${folder}/job.json`);
      if (jobId !== undefined) await this.#tryToOpen(jobId);
    }
    // A producer that died between opening a job, or resolving its first frame, and starting the step.
    for (const { jobId, state, framesScored, framesFailed } of await ledger.openJobs()) {
      if (state === 'waiting' || state === 'running') await steps.add('split', jobId);
      if (state === 'running' && framesScored + framesFailed > 0) await steps.add('stitch', jobId);
    }
  }

  /** Whatever is wrong with one job must not keep the others waiting. Returns whether it need not be tried again. */
  async #tryToOpen(jobId: string): Promise<boolean> {
    try {
      await this.#open(jobId);
      return true;
    } catch (error) {
      this.#parts.log.warn({ jobId, error }, 'job could not be opened: it will be tried again');
      return false;
    }
  }

  async #open(jobId: string): Promise<void> {
    const { blobs, ledger, steps, clock, log } = this.#parts;
    if (this.#ended.has(jobId) || (await ledger.isKnown(jobId))) return;
    if (await hasEnded(blobs, jobId)) {
      this.#ended.add(jobId);
      return;
    }
    const trigger = await blobs.stat('incoming', triggerBlob(jobId));
    if (trigger === undefined) return;
    try {
      const request = await readTrigger(blobs, { jobId, sizeBytes: trigger.sizeBytes });
      await checkSource(blobs, request);
      const model = await resolveModel(blobs, request);
      if (!(await ledger.open({ request, model, epoch: clock.now().getTime() }))) return;
      log.info({ jobId, model: model.name, sizeBytes: request.source.sizeBytes }, 'job opened');
    } catch (error) {
      if (!(error instanceof PermanentError)) throw error;
      log.warn({ jobId, error }, 'job refused');
      await publishRefusal(blobs, { jobId, error, now: clock.now() });
      this.#ended.add(jobId);
      return;
    }
    await this.#recover(jobId);
    await steps.add('split', jobId);
  }

  /** Frames that are scored already count as scored: this ledger is not the first one of the job. */
  async #recover(jobId: string): Promise<void> {
    const { blobs, ledger, clock, log } = this.#parts;
    const found: number[] = [];
    for await (const { name } of blobs.list('scored', { prefix: jobPrefix(jobId) })) {
      const frameIndex = frameIndexOf(name);
      if (frameIndex !== undefined) found.push(frameIndex);
    }
    if (found.length === 0) return;
    await ledger.resolve(jobId, {
      batchIndex: null,
      scored: toRanges(found),
      failed: [],
      nowMs: clock.now().getTime(),
    });
    log.info({ jobId, frames: found.length }, 'frames found scored');
  }
}

/** A status that cannot be read says nothing. */
async function hasEnded(blobs: BlobStore, jobId: string): Promise<boolean> {
  const bytes = await blobs.get('results', statusBlob(jobId));
  if (bytes === undefined) return false;
  const status = jobStatus.safeParse(parseJson(bytes.toString('utf8')));
  return status.success && isTerminal(status.data.state);
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
async function checkSource(blobs: BlobStore, { jobId, source }: JobRequest): Promise<void> {
  const found = await blobs.stat('incoming', sourceBlob(jobId, source.name));
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
