/**
 * Files on their way to a job. They are stored in parts, straight where the job expects them: an upload has the id of the job that it may
 * become. Its document `control/uploads/<id>` says what is expected, so that any producer may take the next part. A part takes seconds,
 * because Container Apps ends each request after four minutes.
 *
 * An upload that has not become a job within a day is removed.
 */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import type { Readable } from 'node:stream';

import { z } from 'zod';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { bytesText } from '../../shared/command/text.ts';
import {
  JOB_ID_PATTERN,
  UPLOADS_PREFIX,
  imageBlob,
  jobPrefix,
  safeSourceName,
  sourceBlob,
  triggerBlob,
  uploadBlob,
} from '../../shared/contract/blob-names.ts';
import { newJobId } from '../../shared/contract/job.ts';
import { IMAGE_NAME_BYTES_MAX } from '../../shared/contract/limits.ts';
import { parseJson } from '../../shared/contract/parse-json.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import { PermanentError, TransientError } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { isImageName, refuseOtherImage } from '../control/image-files.ts';
import type { JobFolders } from '../jobs/job-folders.ts';

/** More images are for `npm run enqueue`. */
export const UPLOAD_FILES_MAX = 2000;
/** Storage takes 50,000 parts: 390 GiB. */
export const UPLOAD_PART_BYTES = 8 * 1024 * 1024;
/** Each is held in memory. */
const PARTS_AT_ONCE = 8;
const KEPT_MS = 24 * 3_600_000;
const SWEEP_MS = 10 * 60_000;

const uploadedFile = z.object({ name: z.string(), blobName: z.string(), sizeBytes: z.int().min(0) });
const uploadDocument = z.object({
  version: z.literal(1),
  jobId: z.string().regex(JOB_ID_PATTERN),
  kind: z.enum(['video', 'images']),
  /** Of the video, of the only image, or `images`. */
  sourceName: z.string(),
  files: z.array(uploadedFile).min(1),
  createdAt: z.iso.datetime(),
});
export type UploadDocument = Readonly<z.infer<typeof uploadDocument>>;

export const uploadRequest = z
  .array(
    z.object({
      name: z
        .string()
        .min(1)
        .max(1024)
        .refine((name) => name.isWellFormed(), { error: 'expected well-formed text' }),
      sizeBytes: z.int().min(0),
    }),
  )
  .min(1)
  .max(UPLOAD_FILES_MAX);

export interface UploadsOptions {
  readonly blobs: BlobStore;
  readonly folders: JobFolders;
  readonly clock: Clock;
  readonly log: Log;
}

export class Uploads {
  readonly #options: UploadsOptions;
  #parts = 0;

  constructor(options: UploadsOptions) {
    this.#options = options;
  }

  /** Throws SOURCE_EMPTY, SOURCE_NOT_IMAGE, SOURCE_TOO_LARGE, or REQUEST_INVALID for files that are not one job. */
  async create(files: z.output<typeof uploadRequest>): Promise<UploadDocument> {
    const { folders, clock } = this.#options;
    const { sourceBytesMax } = folders;
    const [first] = files;
    if (first === undefined) throw new RangeError('expected a file');
    for (const { name, sizeBytes } of files) {
      refuseOtherImage(name);
      if (sizeBytes === 0) throw emptyFile(name);
      if (sizeBytes > sourceBytesMax) throw tooLargeFile(name, sizeBytes, sourceBytesMax);
    }
    const images = files.filter(({ name }) => isImageName(name));
    if (images.length > 0 ? images.length < files.length : files.length > 1)
      throw new PermanentError('REQUEST_INVALID', 'These files are not one job.', {
        hint: 'Choose one video, or images only.',
      });
    const now = clock.now();
    const kind = images.length > 0 ? 'images' : 'video';
    const sourceName = files.length === 1 ? path.basename(first.name) : 'images';
    const jobId = newJobId(sourceName, now, randomBytes(3).toString('hex'));
    const names = uniqueNames(files.map(({ name }) => name));
    const document: UploadDocument = {
      version: 1,
      jobId,
      kind,
      sourceName,
      files: files.map(({ sizeBytes }, index) => ({
        name: names[index] ?? '',
        blobName: kind === 'video' ? sourceBlob(jobId, sourceName) : imageBlob(jobId, index),
        sizeBytes,
      })),
      createdAt: now.toISOString(),
    };
    await this.#put(document);
    return document;
  }

  /** Throws UPLOAD_UNKNOWN. */
  async find(jobId: string): Promise<UploadDocument> {
    const bytes = await this.#options.blobs.get('control', uploadBlob(jobId));
    const document = bytes && uploadDocument.safeParse(parseJson(String(bytes))).data;
    if (document?.jobId === jobId) return document;
    throw new PermanentError('UPLOAD_UNKNOWN', `There is no upload ${jobId}.`, {
      hint: 'Choose the files again. What has not become a job within a day is removed.',
    });
  }

  /**
   * Stores a part of a file. The last part completes it. Throws UPLOAD_UNKNOWN, TOO_MANY_REQUESTS, REQUEST_INVALID for another number of
   * bytes, or JOB_INVALID if an earlier part is missing.
   */
  async putPart(jobId: string, index: number, part: number, body: Readable): Promise<void> {
    const file = (await this.find(jobId)).files[index];
    const parts = Math.ceil((file?.sizeBytes ?? 0) / UPLOAD_PART_BYTES);
    if (file === undefined || part >= parts)
      throw new PermanentError(
        'UPLOAD_UNKNOWN',
        `The upload ${jobId} has no part ${part} of file ${index}.`,
        {
          hint: 'Choose the files again.',
        },
      );
    if (this.#parts >= PARTS_AT_ONCE)
      throw new TransientError('TOO_MANY_REQUESTS', 'Too many files are uploaded at the same time.', {
        hint: 'Try again when another upload is done.',
      });
    this.#parts += 1;
    try {
      const start = part * UPLOAD_PART_BYTES;
      const bytes = await exactly(Math.min(UPLOAD_PART_BYTES, file.sizeBytes - start), body);
      await this.#store(file.blobName, { part, parts, bytes });
    } finally {
      this.#parts -= 1;
    }
  }

  async #store(
    blobName: string,
    { part, parts, bytes }: { readonly part: number; readonly parts: number; readonly bytes: Buffer },
  ): Promise<void> {
    const { blobs } = this.#options;
    if (parts === 1) {
      await blobs.put('incoming', blobName, bytes);
      return;
    }
    const upload = blobs.putNumbered('incoming', blobName);
    await upload.putPart(part, bytes);
    if (part === parts - 1 && !(await upload.commit(parts)))
      throw new PermanentError('JOB_INVALID', 'An earlier part of the file is missing.', {
        hint: 'Choose the files again.',
      });
  }

  /**
   * Takes an image out of an upload of several, and removes what is stored of it. The next files move up. Throws UPLOAD_UNKNOWN, also for
   * the only file.
   */
  async removeFile(jobId: string, index: number): Promise<void> {
    const { blobs } = this.#options;
    const document = await this.find(jobId);
    const file = document.files[index];
    if (file === undefined || document.files.length === 1)
      throw new PermanentError('UPLOAD_UNKNOWN', `The upload ${jobId} has no file ${index} besides others.`, {
        hint: 'Choose the files again.',
      });
    const rest: UploadDocument = { ...document, files: document.files.toSpliced(index, 1) };
    await this.#put(rest);
    await blobs.remove('incoming', file.blobName);
  }

  async #put(document: UploadDocument): Promise<void> {
    await this.#options.blobs.put('control', uploadBlob(document.jobId), JSON.stringify(document), {
      contentType: 'application/json',
    });
  }

  /** The job is started, or the files are not wanted any more: then they are removed. */
  async forget(jobId: string): Promise<void> {
    const { blobs, folders } = this.#options;
    const isJob = (await blobs.stat('incoming', triggerBlob(jobId))) !== undefined;
    if (!isJob) {
      await folders.remove(jobId);
      for await (const { name } of blobs.list('incoming', { prefix: jobPrefix(jobId) }))
        await blobs.remove('incoming', name);
    }
    await blobs.remove('control', uploadBlob(jobId));
  }

  /** Removes uploads that never became a job. Returns how long to rest, in milliseconds. */
  async sweep(): Promise<number> {
    const { blobs, clock, log } = this.#options;
    const before = clock.now().getTime() - KEPT_MS;
    for await (const { name, lastModifiedAt } of blobs.list('control', { prefix: UPLOADS_PREFIX })) {
      const jobId = name.slice(UPLOADS_PREFIX.length);
      if (lastModifiedAt.getTime() > before || !JOB_ID_PATTERN.test(jobId)) continue;
      await this.forget(jobId);
      log.info({ jobId }, 'upload removed: no job was made of it');
    }
    return SWEEP_MS;
  }
}

/** Reads all bytes. Throws REQUEST_INVALID unless there are exactly so many. */
async function exactly(sizeBytes: number, body: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let seen = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      if ((seen += chunk.length) > UPLOAD_PART_BYTES) break;
      chunks.push(chunk);
    }
  } catch {
    // The sender has gone: bytes are missing.
  }
  if (seen === sizeBytes) return Buffer.concat(chunks, sizeBytes);
  throw new PermanentError('REQUEST_INVALID', `The part does not have the expected ${sizeBytes} bytes.`, {
    hint: 'Do not change the file while it is uploaded, and choose it again.',
  });
}

/** Images of several folders may share a name; their results must not. */
function uniqueNames(names: readonly string[]): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    const plain = truncated(
      name
        .split('/')
        .filter((part) => part !== '' && part !== '.' && part !== '..')
        .map((part) => safeSourceName(part))
        .join('/'),
    );
    const { dir, name: stem, ext } = path.parse(plain === '' ? 'image' : plain);
    let free = path.join(dir, stem + ext);
    for (let number = 2; taken.has(free); number += 1) free = path.join(dir, `${stem} (${number})${ext}`);
    taken.add(free);
    return free;
  });
}

function truncated(name: string): string {
  return Buffer.byteLength(name) <= IMAGE_NAME_BYTES_MAX - 16 ? name : path.basename(name);
}

function emptyFile(name: string): PermanentError {
  return new PermanentError('SOURCE_EMPTY', `${name} is empty (0 bytes).`, {
    hint: 'Copy or export the file again.',
  });
}

function tooLargeFile(name: string, sizeBytes: number, max: number): PermanentError {
  return new PermanentError(
    'SOURCE_TOO_LARGE',
    `${name} is too large: it has ${bytesText(sizeBytes)}, the limit is ${bytesText(max)}.`,
    {
      hint: 'Cut the video or encode it at a lower bit rate. To raise the limit, give the producer more disk space (FRAMEFLEET_WORK_BYTES_MAX).',
    },
  );
}
