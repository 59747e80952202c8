/**
 * Creates and removes the containers of partners, and makes the write-only addresses through which partners upload.
 *
 * On Azure an address is signed with a user-delegation key, which Azure issues to the caller for seven days at most. The
 * address allows nothing that the caller is not allowed, and needs no account key. With an emulator, its account key signs.
 */
import {
  type BlobServiceClient,
  ContainerSASPermissions,
  SASProtocol,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';

import type { ShareContainer } from '../contract/storage-layout.ts';
import { TransientError } from '../runtime/errors.ts';
import { isBeingDeleted, isNotFound } from './storage-errors.ts';

/** Create and write, both of which an upload in blocks needs. Not read, list or delete. */
const WRITE_ONLY = ContainerSASPermissions.parse('cw');

export interface AddressValidity {
  readonly startsAt: Date;
  /** At most seven days after `startsAt`. */
  readonly expiresAt: Date;
}

export class ShareContainers {
  readonly #service: BlobServiceClient;

  /** Takes a client of the media account. */
  constructor(service: BlobServiceClient) {
    this.#service = service;
  }

  /** Leaves an existing container unchanged. */
  async create(container: ShareContainer): Promise<void> {
    try {
      await this.#service.getContainerClient(container).createIfNotExists();
    } catch (cause) {
      if (!isBeingDeleted(cause)) throw cause;
      throw new TransientError(
        'STORAGE_UNAVAILABLE',
        `The container ${container} is still being deleted, which takes about half a minute.`,
        { hint: 'Run the command again in a minute.', cause },
      );
    }
  }

  /** Also removes its blobs; all of its addresses stop working. Returns whether the container existed. */
  async remove(container: ShareContainer): Promise<boolean> {
    try {
      await this.#service.getContainerClient(container).delete();
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  /** A URL that lets its holder write to the container until it expires. */
  async writeOnlyAddress(
    container: ShareContainer,
    { startsAt, expiresAt }: AddressValidity,
  ): Promise<string> {
    const client = this.#service.getContainerClient(container);
    const terms = { permissions: WRITE_ONLY, startsOn: startsAt, expiresOn: expiresAt };
    if (this.#service.credential instanceof StorageSharedKeyCredential) return client.generateSasUrl(terms);
    const key = await this.#service.getUserDelegationKey(startsAt, expiresAt);
    return client.generateUserDelegationSasUrl({ ...terms, protocol: SASProtocol.Https }, key);
  }
}
