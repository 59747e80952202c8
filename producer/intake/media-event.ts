/**
 * Parses the messages that Event Grid puts on `media-events`: BlobCreated events, in base64 or plain, in the Event Grid or
 * CloudEvents schema, single or in an array. PURE.
 */
import { z } from 'zod';

import { parseJson } from '../../shared/contract/parse-json.ts';

const SUBJECT = /^\/blobServices\/default\/containers\/([^/]+)\/blobs\/(.+)$/;
const BLOB_CREATED = 'Microsoft.Storage.BlobCreated';

const event = z
  .object({ subject: z.string().max(2048), eventType: z.string().optional(), type: z.string().optional() })
  .refine(({ eventType, type }) => (eventType ?? type) !== undefined);
const events = z.union([event.transform((one) => [one]), z.array(event)]);

export interface CreatedBlob {
  readonly container: string;
  readonly name: string;
}

/** The created blobs that a message names, or undefined if the message is not an event. */
export function createdBlobs(text: string): CreatedBlob[] | undefined {
  const parsed = events.safeParse(parseJson(text) ?? parseJson(Buffer.from(text, 'base64').toString('utf8')));
  if (!parsed.success) return undefined;
  return parsed.data.flatMap(({ subject, eventType, type }) => {
    const [, container, name] = SUBJECT.exec(subject) ?? [];
    if ((eventType ?? type) !== BLOB_CREATED || container === undefined || name === undefined) return [];
    return [{ container, name }];
  });
}
