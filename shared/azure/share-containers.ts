/**
 * Containers for people outside: made, removed, and given out by an address that can write there and do nothing else.
 *
 * On Azure the address is signed with a key that Azure makes for whoever calls, for seven days at most (a user-delegation SAS):
 * it can do no more than they can, and no account key exists that could. An emulator's is signed with the emulator's key.
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

/** To make a blob and to write one: in pieces it needs both. Not: to read, to list, or to delete. */
const MAY = ContainerSASPermissions.parse('cw');

export interface AddressTimes {
  readonly startsAt: Date;
  /** Seven days after `startsAt` at most. */
  readonly expiresAt: Date;
}

export class ShareContainers {
  readonly #service: BlobServiceClient;

  /** Of the media account. */
  constructor(service: BlobServiceClient) {
    this.#service = service;
  }

  /** One that is there stays as it is. */
  async create(container: ShareContainer): Promise<void> {
    try {
      await this.#service.getContainerClient(container).createIfNotExists();
    } catch (cause) {
      if (!isBeingDeleted(cause)) throw cause;
      throw new TransientError(
        'STORAGE_UNAVAILABLE',
        `The container ${container} is still being deleted: that takes about half a minute.`,
        { hint: 'Run the command again in a minute.', cause },
      );
    }
  }

  /** With everything in it; every address of it stops working. Returns whether it was there. */
  async remove(container: ShareContainer): Promise<boolean> {
    try {
      await this.#service.getContainerClient(container).delete();
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  /** A URL: whoever has it may write until it expires. */
  async writeOnlyAddress(container: ShareContainer, { startsAt, expiresAt }: AddressTimes): Promise<string> {
    const client = this.#service.getContainerClient(container);
    const terms = { permissions: MAY, startsOn: startsAt, expiresOn: expiresAt };
    if (this.#service.credential instanceof StorageSharedKeyCredential) return client.generateSasUrl(terms);
    const key = await this.#service.getUserDelegationKey(startsAt, expiresAt);
    return client.generateUserDelegationSasUrl({ ...terms, protocol: SASProtocol.Https }, key);
  }
}
