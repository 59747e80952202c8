/** The result of a job as a download: a file whose parts can be requested, or an archive of many images, which is made while it is sent. */
import path from 'node:path';
import { Readable } from 'node:stream';

import { ZipFile } from 'yazl';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { leafOf } from '../../shared/contract/blob-names.ts';
import { IMAGE_LIST_SUFFIX } from '../../shared/contract/image-list.ts';
import { TransientError } from '../../shared/runtime/errors.ts';
import type { HttpReply, HttpRequest } from '../../shared/runtime/http.ts';
import type { JobView } from '../control/job-view.ts';
import { resultLabel } from '../control/result-label.ts';
import type { JobDetail } from './contract.ts';

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.mp4': 'video/mp4',
  '.mov': 'video/quicktime',
  '.mkv': 'video/matroska',
  '.ndjson': 'application/x-ndjson',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.png': 'image/png',
  '.webp': 'image/webp',
  '.tif': 'image/tiff',
  '.tiff': 'image/tiff',
  '.avif': 'image/avif',
  '.zip': 'application/zip',
};

function contentTypeOf(name: string): string {
  return CONTENT_TYPES[path.extname(name).toLowerCase()] ?? 'application/octet-stream';
}

/** Null if the job has no result. */
export function describeResult({ request, status }: JobView): JobDetail['result'] {
  const result = status?.result ?? null;
  if (result === null) return null;
  const name = resultName(request, result.blobName);
  const { codec = 'h264', crf } = request.encoding ?? {};
  const isVideo = name.endsWith('.mp4') || name.endsWith('.mov');
  return {
    name,
    sizeBytes: result.sizeBytes,
    contentType: contentTypeOf(name),
    // Browsers do not play lossless RGB, and few play HEVC.
    isPlayable: isVideo && codec === 'h264' && crf !== null,
  };
}

/** As `enqueue` names it: `harbour.great-wave.mp4`. */
function resultName(request: JobView['request'], blobName: string): string {
  const { source } = request;
  const stem =
    source.kind === 'images' ? source.name.slice(0, -IMAGE_LIST_SUFFIX.length) : path.parse(source.name).name;
  const ending = blobName.endsWith('/') ? '.zip' : path.extname(blobName);
  return `${path.parse(stem).name}.${resultLabel(request)}${ending}`;
}

/** Throws JOB_NOT_FINISHED. */
export async function sendResult(
  blobs: BlobStore,
  view: JobView,
  { headers, method }: Pick<HttpRequest, 'headers' | 'method'>,
  reply: HttpReply,
  isDownload: boolean,
): Promise<HttpReply> {
  const described = describeResult(view);
  const blobName = view.status?.result?.blobName;
  if (described === null || blobName === undefined)
    throw new TransientError('JOB_NOT_FINISHED', `The job ${view.jobId} has no result.`, {
      hint: 'Wait until the job is completed.',
    });
  const disposition = isDownload ? 'attachment' : 'inline';
  void reply.header(
    'content-disposition',
    `${disposition}; filename*=UTF-8''${encodeURIComponent(described.name)}`,
  );
  if (blobName.endsWith('/')) return sendArchive(blobs, blobName, reply);
  const stat = await blobs.stat('results', blobName);
  if (stat === undefined)
    throw new TransientError(
      'STORAGE_UNAVAILABLE',
      `The result of the job ${view.jobId} is not in storage.`,
      {
        hint: 'It may have been removed. Run the job again.',
      },
    );
  void reply
    .type(described.contentType)
    .header('accept-ranges', 'bytes')
    .header('cache-control', 'private, no-cache')
    .header('etag', stat.etag);
  if (headers['if-none-match'] === stat.etag) return reply.code(304).send();
  const isSame = headers['if-range'] === undefined || headers['if-range'] === stat.etag;
  const part = isSame ? partOf(headers.range, stat.sizeBytes) : null;
  if (part === 'outside') return reply.code(416).header('content-range', `bytes */${stat.sizeBytes}`).send();
  const { offset, bytes } = part ?? { offset: 0, bytes: stat.sizeBytes };
  void reply.header('content-length', bytes);
  if (part !== null)
    void reply.code(206).header('content-range', `bytes ${offset}-${offset + bytes - 1}/${stat.sizeBytes}`);
  if (method === 'HEAD') return reply.send();
  const read = blobs.read('results', blobName, part === null ? {} : { part });
  return reply.send(Readable.from(read, { objectMode: false }));
}

interface BlobPart {
  readonly offset: number;
  readonly bytes: number;
}

/** Null for the whole: several parts in one request are not worth their format. PURE. */
export function partOf(range: string | undefined, sizeBytes: number): BlobPart | 'outside' | null {
  const [, first = '', last = ''] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(range ?? '') ?? [];
  if (first === '' && last === '') return null;
  if (first === '') {
    const bytes = Math.min(Number(last), sizeBytes);
    return bytes === 0 ? 'outside' : { offset: sizeBytes - bytes, bytes };
  }
  const offset = Number(first);
  const end = last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1);
  if (offset >= sizeBytes) return 'outside';
  return end < offset ? null : { offset, bytes: end - offset + 1 };
}

/** A single image is sent as it is. Images are compressed already, so the archive only stores them. */
async function sendArchive(blobs: BlobStore, prefix: string, reply: HttpReply): Promise<HttpReply> {
  const found: { name: string; sizeBytes: number; lastModifiedAt: Date }[] = [];
  for await (const blob of blobs.list('results', { prefix })) found.push(blob);
  const [only] = found;
  if (only !== undefined && found.length === 1)
    return reply
      .type(contentTypeOf(only.name))
      .header('content-disposition', `inline; filename*=UTF-8''${encodeURIComponent(leafOf(only.name))}`)
      .header('content-length', only.sizeBytes)
      .send(Readable.from(blobs.read('results', only.name), { objectMode: false }));
  const zip = new ZipFile();
  for (const { name, sizeBytes, lastModifiedAt } of found)
    zip.addReadStreamLazy(
      name.slice(prefix.length),
      { compress: false, size: sizeBytes, mtime: lastModifiedAt },
      (take) => take(null, Readable.from(blobs.read('results', name), { objectMode: false })),
    );
  zip.end();
  return reply.type('application/zip').send(zip.outputStream);
}
