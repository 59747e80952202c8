/** The job that the visitor prepares: its files on their way to storage, its model, its style. One at a time; it survives a change of view. */
import { computed, signal } from '@preact/signals';

import type { Priority } from '../../../../shared/contract/job.ts';
import type { Model, NewJob, Upload } from '../../contract.ts';
import { ApiFailure, asFailure, failureFrom, isAboutFiles, send, unreachable } from '../server.ts';

/** A part is sent again after these times, in milliseconds: a network that changes, a producer that restarts. */
const RETRY_MS = [1_000, 4_000, 10_000];
const PASSING = new Set([
  'UNREACHABLE',
  'TOO_MANY_REQUESTS',
  'STORAGE_UNAVAILABLE',
  'HTTP_502',
  'HTTP_503',
  'HTTP_504',
]);

const BLENDED_SHARE = 33;

export interface DraftUpload {
  readonly files: readonly File[];
  readonly sizeBytes: number;
  readonly sentBytes: number;
  /** Null until all bytes are stored. */
  readonly uploadId: string | null;
  /** Of the upload, or why the files cannot be used. */
  readonly failure: ApiFailure | null;
}

export const draftUpload = signal<DraftUpload | null>(null);
export const chosenModel = signal<string | null>(null);
export const chosenStyle = signal<string | null>(null);
/** A second style and its share of the blend, in percent. */
export const blendedStyle = signal<string | null>(null);
export const blendedShare = signal(BLENDED_SHARE);
export const chosenPriority = signal<Priority>('normal');

const styleParameter = computed(() => {
  const [style, blended, share] = [chosenStyle.value, blendedStyle.value, blendedShare.value];
  if (style === null || blended === null || share === 0) return style;
  return share === 100 ? blended : `${style}:${100 - share},${blended}:${share}`;
});

/** Its first style, and no blend: another model has other styles. */
export function chooseModel(model: Model | undefined): void {
  chosenModel.value = model?.name ?? null;
  chosenStyle.value = model?.styles[0] ?? null;
  blendedStyle.value = null;
}

/** Null until the files are stored and a model is chosen. */
export const draftJob = computed<NewJob | null>(() => {
  const uploadId = draftUpload.value?.uploadId ?? null;
  if (uploadId === null || chosenModel.value === null) return null;
  return {
    uploadId,
    model: chosenModel.value,
    parameters: styleParameter.value === null ? {} : { style: styleParameter.value },
    priority: chosenPriority.value,
  };
});

let sending: AbortController | undefined;
/** Of the upload that has begun. */
let storedId: string | null = null;

/** Removes what is stored of the files, too. */
export function discardDraft(): void {
  const begun = storedId;
  forgetDraft();
  // What stays after a failure is removed by the server within a day.
  if (begun !== null) send('DELETE', `uploads/${begun}`).catch(() => undefined);
}

/** The files have become a job. */
export function forgetDraft(): void {
  sending?.abort();
  storedId = null;
  draftUpload.value = null;
  chooseModel(undefined);
  blendedShare.value = BLENDED_SHARE;
  chosenPriority.value = 'normal';
}

/** Whether the failure is about the files: then it is kept with them, and they do not become a job. */
export function refuseFiles(failure: ApiFailure): boolean {
  const draft = draftUpload.peek();
  if (draft === null || !isAboutFiles(failure)) return false;
  draftUpload.value = { ...draft, failure };
  return true;
}

/** Takes one of several stored images out of the job. Throws an `ApiFailure`. */
export async function removeFile(index: number): Promise<void> {
  const draft = draftUpload.peek();
  if (draft === null || draft.uploadId === null) return;
  await send('DELETE', `uploads/${draft.uploadId}/files/${index}`);
  if (draftUpload.peek() !== draft) return;
  const files = draft.files.toSpliced(index, 1);
  const sizeBytes = sumOfSizes(files);
  draftUpload.value = { ...draft, files, sizeBytes, sentBytes: sizeBytes, failure: null };
}

/** Stores the files. Progress and failure are in `draftUpload`. */
export async function uploadFiles(files: readonly File[]): Promise<void> {
  if (files.length === 0) return;
  discardDraft();
  const abort = new AbortController();
  sending = abort;
  const sizeBytes = sumOfSizes(files);
  const update = (change: Partial<DraftUpload>) => {
    if (abort.signal.aborted || draftUpload.value === null) return;
    draftUpload.value = { ...draftUpload.value, ...change };
  };
  draftUpload.value = { files, sizeBytes, sentBytes: 0, uploadId: null, failure: null };
  const ended = new AbortController();
  addEventListener('beforeunload', askFirst, { signal: AbortSignal.any([abort.signal, ended.signal]) });
  try {
    const body = files.map(({ name, size }) => ({ name, sizeBytes: size }));
    const upload = await send<Upload>('POST', 'uploads', { body, signal: abort.signal });
    storedId = upload.id;
    let sentBefore = 0;
    for (const [number, file] of files.entries()) {
      const address = upload.files[number]?.url ?? '';
      const before = sentBefore;
      await putFile({
        address,
        file,
        partBytes: upload.partBytes,
        abort: abort.signal,
        onProgress: (sent) => update({ sentBytes: before + sent }),
      });
      sentBefore += file.size;
    }
    update({ sentBytes: sizeBytes, uploadId: upload.id });
  } catch (error) {
    update({ failure: asFailure(error) });
  } finally {
    ended.abort();
  }
}

/** The browser asks the visitor, in its own words, whether to leave an upload. */
function askFirst(event: BeforeUnloadEvent): void {
  event.preventDefault();
}

function sumOfSizes(files: readonly File[]): number {
  return files.reduce((sum, { size }) => sum + size, 0);
}

interface PutOptions {
  readonly address: string;
  readonly file: File;
  readonly partBytes: number;
  readonly abort: AbortSignal;
  /** Bytes so far. */
  readonly onProgress: (sent: number) => void;
}

async function putFile({ address, file, partBytes, abort, onProgress }: PutOptions): Promise<void> {
  for (let start = 0; start < file.size; start += partBytes) {
    const part = file.slice(start, start + partBytes);
    for (let failures = 0; ; failures += 1) {
      try {
        await putPart(`${address}/${start / partBytes}`, part, abort, (sent) => onProgress(start + sent));
        break;
      } catch (error) {
        const mayPass = error instanceof ApiFailure && PASSING.has(error.code);
        if (abort.aborted || !mayPass || failures >= RETRY_MS.length) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS[failures]));
      }
    }
  }
}

/** With XMLHttpRequest: `fetch` does not tell how much is sent. */
async function putPart(
  address: string,
  part: Blob,
  abort: AbortSignal,
  onProgress: (sent: number) => void,
): Promise<void> {
  const request = new XMLHttpRequest();
  request.open('PUT', address);
  request.setRequestHeader('content-type', 'application/octet-stream');
  request.upload.addEventListener('progress', ({ loaded }) => onProgress(loaded));
  const ended = new Promise<void>((resolve) => request.addEventListener('loadend', () => resolve()));
  const cancel = (): void => request.abort();
  abort.addEventListener('abort', cancel, { once: true });
  request.send(part);
  await ended;
  abort.removeEventListener('abort', cancel);
  if (request.status === 0) throw unreachable();
  if (request.status >= 300) throw failureFrom(request.status, request.responseText);
}
