/**
 * Makes and parses all blob names. PURE.
 *
 * The parts of a name are validated here, so no external input (a message, a file name) can name a blob outside its own job.
 */
import { FRAME_INDEX_DIGITS, FRAMES_MAX, SOURCE_NAME_BYTES_MAX } from './limits.ts';

/** Lower-case letters, digits and single dashes, 3 to 63 characters. `drop` is taken by the drop folder. */
export const JOB_ID_PATTERN = /^(?!drop$)(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*$/;
/** For names of workers, models and the like: no slash, no leading dot. */
export const NAME_PATTERN = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/** Characters and endings that Azure or a file system treats specially. */
// oxlint-disable-next-line no-control-regex -- matches control characters on purpose
const FORBIDDEN = /[\u0000-\u001f\u007f-\u009f/\\?#%*:|"<>]|[. ]+$/gu;
/** Names that are in use in a job's folder. */
const RESERVED_NAMES = /^(?:\.*|(?:job|status|report|timeline)\.json)$/;

/** In `control`: the prefix of drain requests. */
export const DRAIN_PREFIX = 'drain/';
/** In `control`: the prefix of the agreements with partners. */
export const SHARES_PREFIX = 'shares/';
/** In `control`: the prefix of spending caps that were changed after a job was enqueued. */
export const CAPS_PREFIX = 'caps/';
/** In `incoming`: the drop folder, whose videos become jobs automatically. */
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
    throw new RangeError(
      `expected a name without slashes or a leading dot, received ${JSON.stringify(name)}`,
    );
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
/** In `logs`: a worker's log of a job's frames, one JSON line per frame. */
export const frameLogBlob = (jobId: string, workerId: string): string =>
  `${jobFolder(jobId)}${safeName(workerId)}.ndjson`;
/** In `logs`: the body of a poison message that is too long for the queue. No job id contains an underscore. */
export const poisonBodyBlob = (poisonId: string): string => `_poison/${safeName(poisonId)}`;
/** In `control`: a request that the workers of this VM drain. */
export const drainBlob = (vmId: string): string => `${DRAIN_PREFIX}${safeName(vmId)}`;
/** In `control`: the operator's override of the scaler. */
export const OVERRIDE_BLOB = 'override';
/** In `logs`: each change of the override, as a JSON line. No job id contains an underscore. */
export const OVERRIDE_AUDIT_BLOB = '_audit/override.ndjson';
/** In `control`: written to read the clock of storage. */
export const CLOCK_BLOB = 'clock';
/** In `control`: a request to retry a failure of a job. */
export const redriveBlob = (jobId: string, poisonId: string): string =>
  `redrive/${jobFolder(jobId)}${safeName(poisonId)}`;
/** In `control`: the agreement with a partner. */
export const shareBlob = (partner: string): string => `${SHARES_PREFIX}${safeName(partner)}`;
/** In `control`: the new spending cap of a job. */
export const capBlob = (jobId: string): string => `${CAPS_PREFIX}${jobFolder(jobId).slice(0, -1)}`;
export const heartbeatBlob = (workerId: string): string => safeName(workerId);
export const jobPrefix = (jobId: string): string => jobFolder(jobId);

/** The VM of a drain request; undefined for any other name. */
export function vmIdOfDrain(blobName: string): string | undefined {
  const vmId = blobName.startsWith(DRAIN_PREFIX) ? blobName.slice(DRAIN_PREFIX.length) : '';
  return NAME_PATTERN.test(vmId) ? vmId : undefined;
}

/** The index in `<jobId>/<8 digits>.<ext>`; undefined for any other name. */
export function frameIndexOf(blobName: string): number | undefined {
  const match = /\/(\d{8})\.(?:jpg|json)$/.exec(blobName);
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

/** The index in `<jobId>/<8 digits>.failed.json`; undefined for any other name. */
export function failedFrameIndexOf(blobName: string): number | undefined {
  const match = /\/(\d{8})\.failed\.json$/.exec(blobName);
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

/** The job of a trigger `<jobId>/job.json`; undefined for any other name. */
export function jobIdOfTrigger(blobName: string): string | undefined {
  const [jobId = '', file, ...rest] = blobName.split('/');
  return file === 'job.json' && rest.length === 0 && JOB_ID_PATTERN.test(jobId) ? jobId : undefined;
}

/** The last part of a blob's name, as a file name. Never empty. */
export function leafOf(blobName: string): string {
  return blobName.split('/').findLast((part) => part !== '') ?? 'video';
}

/** The longest prefix that all frames of `[frameStart, frameEnd)` share, for the shortest listing that contains them. */
export function framesPrefix(jobId: string, frameStart: number, frameEnd: number): string {
  const first = frameNumber(frameStart);
  const last = frameNumber(Math.max(frameStart, frameEnd - 1));
  let shared = 0;
  while (shared < first.length && first[shared] === last[shared]) shared += 1;
  return jobFolder(jobId) + first.slice(0, shared);
}

/**
 * Makes a file name safe as part of a blob name. Letters of any script stay; characters that Azure or a file system treats
 * specially (slashes, control characters, trailing dots) become `_`. Never empty, and never a reserved name such as `job.json`.
 */
export function safeSourceName(fileName: string): string {
  const plain = fileName.toWellFormed().normalize('NFC').replace(FORBIDDEN, '_');
  const short = truncateBytes(plain, SOURCE_NAME_BYTES_MAX);
  return RESERVED_NAMES.test(short) ? `source-${short}` : short;
}

/** Removes whole characters from the middle, so that the extension stays. */
function truncateBytes(text: string, bytesMax: number): string {
  const characters = Array.from(text);
  while (Buffer.byteLength(characters.join('')) > bytesMax)
    characters.splice(Math.floor(characters.length / 2), 1);
  return characters.join('');
}
