/**
 * Makes and parses all blob names. PURE.
 *
 * The parts of a name are validated here, so no external input (a message, a file name) can name a blob outside its own job.
 */
import type { ImageFormat } from './encoding.ts';
import { FRAME_INDEX_DIGITS, FRAMES_MAX, SOURCE_NAME_BYTES_MAX, SPLITS_MAX } from './limits.ts';
import type { PieceFormat } from './piece.ts';
import type { FrameRange } from './ranges.ts';

/** Lower-case letters, digits and single dashes, 3 to 63 characters. `drop` is taken by the drop folder. */
export const JOB_ID_PATTERN = /^(?!drop$)(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*$/;
/** For names of workers, models and the like: no slash, no leading dot. */
export const NAME_PATTERN = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/** What the name of a blob cannot have in a part between slashes: Azure rejects or changes it. */
// oxlint-disable-next-line no-control-regex -- matches control characters on purpose
const FORBIDDEN_IN_BLOBS = /[\u0000-\u001f\u007f-\u009f\\]|[. ]+$/gu;
/** Characters and endings that Azure or a file system treats specially. */
// oxlint-disable-next-line no-control-regex -- matches control characters on purpose
const FORBIDDEN = /[\u0000-\u001f\u007f-\u009f/\\?#%*:|"<>]|[. ]+$/gu;
/** Names that are in use in a job's folder. */
const RESERVED_NAMES = /^(?:\.*|(?:job|status|report)\.json)$/;

/** In `control`: the prefix of drain requests. */
export const DRAIN_PREFIX = 'drain/';
/** In `control`: the prefix of the agreements with partners. */
export const SHARES_PREFIX = 'shares/';
/** In `control`: the prefix of spending caps that were changed after a job was enqueued. */
export const CAPS_PREFIX = 'caps/';
/** In `control`: the prefix of what operators want of jobs. */
export const JOB_CONTROLS_PREFIX = 'jobs/';
/** In `control`: touched after each change of a job's control. */
export const JOB_CONTROLS_CHANGED_BLOB = 'jobs-changed';
/** In `control`: the prefix of uploads through the page that are not a job yet. */
export const UPLOADS_PREFIX = 'uploads/';
/** In `incoming`: the drop folder, whose videos become jobs automatically. */
export const DROP_PREFIX = 'drop/';

/** A split of a job. Its frames are numbered by it, so everything that has the number of a frame is in a folder of the split. */
export interface SplitOfJob {
  readonly jobId: string;
  /** 1, or 2 if the source was split again by decoding. */
  readonly splitNumber: number;
}

const PIECE_EXTENSIONS: Record<PieceFormat['container'], string> = {
  nut: 'nut',
  matroska: 'mkv',
  image: 'image',
};

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

/** In `pieces` and `scored`: the folder of a split. */
export function splitPrefix({ jobId, splitNumber }: SplitOfJob): string {
  if (!Number.isInteger(splitNumber) || splitNumber < 1 || splitNumber > SPLITS_MAX)
    throw new RangeError(`expected a split from 1 to ${SPLITS_MAX}, received ${splitNumber}`);
  return `${jobFolder(jobId)}${splitNumber}/`;
}
/** In `pieces`: how the source was taken apart. */
export const planBlob = (split: SplitOfJob): string => `${splitPrefix(split)}plan.json`;
/** In `pieces`: the timestamp of each frame. */
export const timelineBlob = (split: SplitOfJob): string => `${splitPrefix(split)}timeline.json`;
/** In `pieces`: the piece that starts with this frame. */
export const pieceBlob = (
  split: SplitOfJob,
  firstFrame: number,
  { container }: Pick<PieceFormat, 'container'>,
): string => `${splitPrefix(split)}${frameNumber(firstFrame)}.${PIECE_EXTENSIONS[container]}`;
/** Encoded frames, lines of numbers, or a still image. */
export type SegmentExtension = 'mp4' | 'ndjson' | 'image';
/** In `scored`: what the model returned for the frames `frameStart` to `frameEnd - 1`. */
export const segmentBlob = (
  split: SplitOfJob,
  [frameStart, frameEnd]: FrameRange,
  extension: SegmentExtension = 'mp4',
): string => `${splitPrefix(split)}${frameNumber(frameStart)}-${frameNumber(frameEnd - 1)}.${extension}`;
/** In `scored`: a line for each frame of a segment, with what is drawn into it. */
export const linesBlob = (split: SplitOfJob, [frameStart, frameEnd]: FrameRange): string =>
  `${splitPrefix(split)}${frameNumber(frameStart)}-${frameNumber(frameEnd - 1)}.lines.ndjson`;
/** In `scored`: the first frame of a batch before and after the model, small and side by side. */
export const previewBlob = (split: SplitOfJob, frameIndex: number): string =>
  `${splitPrefix(split)}${frameNumber(frameIndex)}.preview.jpg`;
/** In `scored`: a frame after the model, if the job asks for images. */
export const frameImageBlob = (split: SplitOfJob, frameIndex: number, format: ImageFormat): string =>
  `${splitPrefix(split)}${frameNumber(frameIndex)}.${format}`;
/** In `scored`: why a frame is given up. */
export const failedFrameBlob = (split: SplitOfJob, frameIndex: number): string =>
  `${splitPrefix(split)}${frameNumber(frameIndex)}.failed.json`;
export const triggerBlob = (jobId: string): string => `${jobFolder(jobId)}job.json`;
export const sourceBlob = (jobId: string, sourceName: string): string =>
  `${jobFolder(jobId)}${safeSourceName(sourceName)}`;
export const statusBlob = (jobId: string): string => `${jobFolder(jobId)}status.json`;
export const reportBlob = (jobId: string): string => `${jobFolder(jobId)}report.json`;
export const resultBlob = (jobId: string, fileName: string): string =>
  `${jobFolder(jobId)}${safeSourceName(fileName)}`;
/** In `results`: the numbers of a model that returns no pictures, one line for each frame. */
export const scoresBlob = (jobId: string): string => `${jobFolder(jobId)}scores.ndjson`;
/** In `incoming`: an image of a job of still images. */
export const imageBlob = (jobId: string, index: number): string =>
  `${jobFolder(jobId)}images/${frameNumber(index)}`;
/** In `results`: the folder of the results of a job of still images. */
export const imagesPrefix = (jobId: string): string => `${jobFolder(jobId)}images/`;
/** In `results`: the result of an image, by its path in the folder that was enqueued. */
export const resultImageBlob = (jobId: string, imagePath: string): string =>
  imagesPrefix(jobId) +
  imagePath
    .split('/')
    .filter((part) => part !== '')
    .map(safePathPart)
    .join('/');
/** In `results`: the previews of the job in one picture. */
export const contactSheetBlob = (jobId: string): string => `${jobFolder(jobId)}previews/contact-sheet.jpg`;
/** In `results`: a frame after the model, if the job asks for images. */
export const resultFrameBlob = (jobId: string, fileName: string): string =>
  `${jobFolder(jobId)}frames/${safeName(fileName)}`;
export const modelBlob = (
  { name, version }: { readonly name: string; readonly version: string },
  file: 'model.onnx' | 'model-float16.onnx' | 'model.json',
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
/** In `control`: what the fleet has measured, for estimates. */
export const FLEET_RATES_BLOB = 'fleet-rates';
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
/** In `control`: what an operator wants of the job. */
export const controlBlob = (jobId: string): string =>
  `${JOB_CONTROLS_PREFIX}${jobFolder(jobId).slice(0, -1)}`;
/** In `control`: what is uploaded through the page. An upload has the id of the job that it may become. */
export const uploadBlob = (jobId: string): string => `${UPLOADS_PREFIX}${jobFolder(jobId).slice(0, -1)}`;
export const heartbeatBlob = (workerId: string): string => safeName(workerId);
export const jobPrefix = (jobId: string): string => jobFolder(jobId);

/** The VM of a drain request; undefined for any other name. */
export function vmIdOfDrain(blobName: string): string | undefined {
  const vmId = blobName.startsWith(DRAIN_PREFIX) ? blobName.slice(DRAIN_PREFIX.length) : '';
  return NAME_PATTERN.test(vmId) ? vmId : undefined;
}

/** The first frame of a piece, by its name; undefined for any other name. */
export function firstFrameOfPiece(blobName: string): number | undefined {
  const match = /\/(\d{8})\.(?:nut|mkv|image)$/.exec(blobName);
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

/** The frames of a segment, by its name; undefined for any other name. */
export function framesOfSegment(blobName: string): FrameRange | undefined {
  const [, first, last] = /\/(\d{8})-(\d{8})\.(?:mp4|ndjson|image)$/.exec(blobName) ?? [];
  if (first === undefined || Number(last) < Number(first)) return undefined;
  return [Number(first), Number(last) + 1];
}

/** Whether it is the name of lines beside a segment. */
export function isLines(blobName: string): boolean {
  return /\/\d{8}-\d{8}\.lines\.ndjson$/.test(blobName);
}

/** The frame of a preview, by its name; undefined for any other name. */
export function frameOfPreview(blobName: string): number | undefined {
  const match = /\/(\d{8})\.preview\.jpg$/.exec(blobName);
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

/** Whether it is the name of a frame as an image. */
export function isFrameImage(blobName: string): boolean {
  return /\/\d{8}\.(?:jpg|png)$/.test(blobName);
}

/** The index in `<8 digits>.failed.json`; undefined for any other name. */
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

/** The longest prefix that all segments and failure records of these frames share, for the shortest listing that contains them. */
export function framesPrefix(split: SplitOfJob, [frameStart, frameEnd]: FrameRange): string {
  const first = frameNumber(frameStart);
  const last = frameNumber(Math.max(frameStart, frameEnd - 1));
  let shared = 0;
  while (shared < first.length && first[shared] === last[shared]) shared += 1;
  return splitPrefix(split) + first.slice(0, shared);
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

/** A folder or file name as a part of a blob name: unchanged, unless Azure cannot store it. */
function safePathPart(name: string): string {
  return name.toWellFormed().replace(FORBIDDEN_IN_BLOBS, '_');
}

/** Removes whole characters from the middle, so that the extension stays. */
function truncateBytes(text: string, bytesMax: number): string {
  const characters = Array.from(text);
  while (Buffer.byteLength(characters.join('')) > bytesMax)
    characters.splice(Math.floor(characters.length / 2), 1);
  return characters.join('');
}
