/** Reads and writes the agreements with partners, `control/shares/<partner>`. Used by the service and by `npm run share`. */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { isNotFound } from '../../shared/azure/storage-errors.ts';
import { SHARES_PREFIX, shareBlob } from '../../shared/contract/blob-names.ts';
import { parseJson } from '../../shared/contract/parse-json.ts';
import {
  PARTNER_PATTERN,
  type ShareAgreement,
  shareAgreement,
  shareContainer,
} from '../../shared/contract/share.ts';

export class Agreements {
  readonly #blobs: BlobStore;

  constructor(blobs: BlobStore) {
    this.#blobs = blobs;
  }

  /** Undefined if there is no agreement. */
  async read(partner: string): Promise<ShareAgreement | 'unreadable' | undefined> {
    const bytes = await this.#blobs.get('control', shareBlob(partner));
    if (bytes === undefined) return undefined;
    const agreement = shareAgreement.safeParse(parseJson(String(bytes))).data;
    return agreement?.partner === partner ? agreement : 'unreadable';
  }

  async write(agreement: ShareAgreement): Promise<void> {
    await this.#blobs.put('control', shareBlob(agreement.partner), JSON.stringify(agreement, undefined, 2), {
      contentType: 'application/json',
    });
  }

  /** Later uploads by this partner no longer start jobs. */
  async remove(partner: string): Promise<void> {
    await this.#blobs.remove('control', shareBlob(partner));
  }

  /** The names of all partners. */
  async partners(): Promise<string[]> {
    const partners: string[] = [];
    for await (const { name } of this.#blobs.list('control', { prefix: SHARES_PREFIX })) {
      const partner = name.slice(SHARES_PREFIX.length);
      if (PARTNER_PATTERN.test(partner)) partners.push(partner);
    }
    return partners;
  }

  /** Counts uploaded files that are not jobs yet. Null if the container does not exist. */
  async countWaiting(partner: string): Promise<number | null> {
    let count = 0;
    try {
      for await (const { sizeBytes } of this.#blobs.list(shareContainer(partner), {}))
        if (sizeBytes > 0) count += 1;
      return count;
    } catch (error) {
      if (isNotFound(error)) return null;
      throw error;
    }
  }
}
