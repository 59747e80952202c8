/**
 * What is agreed with a partner, as a document in `control`: what becomes of the videos that land in the partner's container. It lies
 * in the system account, where no partner can change it. PURE.
 */
import { z } from 'zod';

import { jobSettings } from './job.ts';
import { type ShareContainer, isShare } from './storage-layout.ts';

/** Lower case, digits and single dashes, 2 to 40 characters: a container's name has 63 at most. */
export const PARTNER_PATTERN = /^(?=.{2,40}$)[a-z0-9]+(?:-[a-z0-9]+)*$/;

export const shareAgreement = z.object({
  version: z.literal(1),
  partner: z.string().regex(PARTNER_PATTERN),
  settings: jobSettings,
  createdAt: z.iso.datetime(),
  /** When the last address that was given out stops working. */
  addressExpiresAt: z.iso.datetime(),
});
export type ShareAgreement = z.infer<typeof shareAgreement>;

export function shareContainer(partner: string): ShareContainer {
  if (!PARTNER_PATTERN.test(partner))
    throw new RangeError(`expected a partner's name, received ${JSON.stringify(partner)}`);
  return `share-${partner}`;
}

/** Undefined for every other container. */
export function partnerOf(container: string): string | undefined {
  const partner = isShare(container) ? container.slice('share-'.length) : '';
  return PARTNER_PATTERN.test(partner) ? partner : undefined;
}
