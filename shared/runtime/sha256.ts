/** SHA-256 hashes in lower-case hex. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';

/** Streams the file: it may have any size. */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

export function sha256Of(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
