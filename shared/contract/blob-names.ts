/**
 * The only place that makes blob names. PURE.
 *
 * A name is made of a job id and a frame index that were validated here, so nothing that comes from outside (a message,
 * a file name) can point outside its own job.
 */
import { FRAME_INDEX_DIGITS, FRAMES_MAX, SOURCE_NAME_BYTES_MAX } from './limits.ts';

/** Lower case, digits and single dashes, 3 to 63 characters; `drop` is the folder of bare videos. */
export const JOB_ID_PATTERN = /^(?!drop$)(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*$/;
/** As a worker or a model names itself: no slash, no leading dot. */
export const NAME_PATTERN = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/** What Azure or a path would read as something else. */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const FORBIDDEN = /[\u0000-\u001f\u007f-\u009f/\\?#%*:|"<>]|[. ]+$/gu;
/** Names that a job's folder has already. */
const OUR_OWN = /^(?:\.*|(?:job|status|report|timeline)\.json)$/;

/** In `control`: every drain request, and nothing else, begins with it. */
export const DRAIN_PREFIX = 'drain/';
/** In `control`: what is agreed with each partner. */
export const SHARES_PREFIX = 'shares/';
/** In `control`: what jobs may cost, where that was changed after they were enqueued. */
export const CAPS_PREFIX = 'caps/';
/** In `incoming`: bare videos, which become jobs by themselves. */
export const DROP_PREFIX = 'drop/';

export type ScoredExtension = 'jpg' | 'json';

function frameNumber(frameIndex: number): string {
  if (!Number.isInteger(frameIndex) || frameIndex < 0 || frameIndex >= FRAMES_MAX) {
    throw new RangeError(`expected a frame index from 0 to ${FRAMES_MAX - 1}, received ${frameIndex}`);
  }
  return String(frameIndex).padStart(FRAME_INDEX_DIGITS, '0');
}

function jobFolder(jobId: string): string {
  if (!JOB_ID_PATTERN.test(jobId))
    throw new RangeError(`expected a job id, received ${JSON.stringify(jobId)}`);
  return `${jobId}/`;
}

function safeName(name: string): string {
  if (!NAME_PATTERN.test(name))
    throw new RangeError(`expected a plain name, received ${JSON.stringify(name)}`);
  return name;
}

export const frameBlob = (jobId: string, frameIndex: number): string =>
  `${jobFolder(jobId)}${frameNumber(frameIndex)}.jpg`;
export const timelineBlob = (jobId: string): string => `${jobFolder(jobId)}timeline.json`;
export const scoredBlob = (jobId: string, frameIndex: number, extension: ScoredExtension = 'jpg'): string =>
  `${jobFolder(jobId)}${frameNumber(frameIndex)}.${extension}`;
export const failedFrameBlob = (jobId: string, frameIndex: number): string =>
  `${jobFolder(jobId)}${frameNumber(frameIndex)}.failed.json`;
export const triggerBlob = (jobId: string): string => `${jobFolder(jobId)}job.json`;
export const sourceBlob = (jobId: string, sourceName: string): string =>
  `${jobFolder(jobId)}${safeSourceName(sourceName)}`;
export const statusBlob = (jobId: string): string => `${jobFolder(jobId)}status.json`;
export const reportBlob = (jobId: string): string => `${jobFolder(jobId)}report.json`;
export const resultBlob = (jobId: string, fileName: string): string =>
  `${jobFolder(jobId)}${safeSourceName(fileName)}`;
export const modelBlob = (
  { name, version }: { readonly name: string; readonly version: string },
  file: 'model.onnx' | 'model.json',
): string => `${safeName(name)}/${safeName(version)}/${file}`;
/** A worker's log of a job's frames, a JSON line each. */
export const frameLogBlob = (jobId: string, workerId: string): string =>
  `${jobFolder(jobId)}${safeName(workerId)}.ndjson`;
/** In `logs`: the body of a poison message that did not fit. No job id has an underscore. */
export const poisonBodyBlob = (poisonId: string): string => `_poison/${safeName(poisonId)}`;
/** In `control`: the machine is asked to finish and take nothing more. */
export const drainBlob = (vmId: string): string => `${DRAIN_PREFIX}${safeName(vmId)}`;
/** In `control`: what a person has told the scaler. */
export const OVERRIDE_BLOB = 'override';
/** In `logs`: every change of the override, a JSON line each. No job id has an underscore. */
export const OVERRIDE_AUDIT_BLOB = '_audit/override.ndjson';
/** In `control`: written to learn storage's time. */
export const CLOCK_BLOB = 'clock';
/** In `control`: a failure of a job is to be tried again. */
export const redriveBlob = (jobId: string, poisonId: string): string =>
  `redrive/${jobFolder(jobId)}${safeName(poisonId)}`;
/** In `control`: what becomes of what a partner sends. */
export const shareBlob = (partner: string): string => `${SHARES_PREFIX}${safeName(partner)}`;
/** In `control`: what a job may cost from now on. */
export const capBlob = (jobId: string): string => `${CAPS_PREFIX}${jobFolder(jobId).slice(0, -1)}`;
export const heartbeatBlob = (workerId: string): string => safeName(workerId);
export const jobPrefix = (jobId: string): string => jobFolder(jobId);

/** The machine of a drain request, or undefined for every other name. */
export function vmIdOfDrain(blobName: string): string | undefined {
  const vmId = blobName.startsWith(DRAIN_PREFIX) ? blobName.slice(DRAIN_PREFIX.length) : '';
  return NAME_PATTERN.test(vmId) ? vmId : undefined;
}

/** The index in `<jobId>/<8 digits>.<ext>`, or undefined for every other name. */
export function frameIndexOf(blobName: string): number | undefined {
  const match = /\/(\d{8})\.(?:jpg|json)$/.exec(blobName);
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

/** The index in `<jobId>/<8 digits>.failed.json`, or undefined for every other name. */
export function failedFrameIndexOf(blobName: string): number | undefined {
  const match = /\/(\d{8})\.failed\.json$/.exec(blobName);
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

/** The job of a trigger `<jobId>/job.json`, or undefined for every other name. */
export function jobIdOfTrigger(blobName: string): string | undefined {
  const [jobId = '', file, ...rest] = blobName.split('/');
  return file === 'job.json' && rest.length === 0 && JOB_ID_PATTERN.test(jobId) ? jobId : undefined;
}

/** The last part of a blob's name, as a file's: never empty. */
export function leafOf(blobName: string): string {
  return blobName.split('/').findLast((part) => part !== '') ?? 'video';
}

/** The shortest listing that holds every frame of `[frameStart, frameEnd)`: the digits all of them share. */
export function framesPrefix(jobId: string, frameStart: number, frameEnd: number): string {
  const first = frameNumber(frameStart);
  const last = frameNumber(Math.max(frameStart, frameEnd - 1));
  let shared = 0;
  while (shared < first.length && first[shared] === last[shared]) shared += 1;
  return jobFolder(jobId) + first.slice(0, shared);
}

/**
 * A file name that a blob may have: letters of any script stay; what Azure or a path would read as something else
 * (slashes, control characters, trailing dots) becomes `_`. Never empty, never `job.json` or another of our own names.
 */
export function safeSourceName(fileName: string): string {
  const plain = fileName.toWellFormed().normalize('NFC').replace(FORBIDDEN, '_');
  const short = truncateBytes(plain, SOURCE_NAME_BYTES_MAX);
  return OUR_OWN.test(short) ? `source-${short}` : short;
}

/** Cuts in the middle, so that the extension stays, and never inside a character. */
function truncateBytes(text: string, bytesMax: number): string {
  const characters = Array.from(text);
  while (Buffer.byteLength(characters.join('')) > bytesMax)
    characters.splice(Math.floor(characters.length / 2), 1);
  return characters.join('');
}
