/**
 * The agreement with a partner, as a document in `control`: the settings for the videos that arrive in the partner's container.
 * It is in the system account, where partners cannot change it. PURE.
 */
import { z } from 'zod';

import { jobSettings } from './job.ts';
import { type ShareContainer, isShare } from './storage-layout.ts';

/** Lower-case letters, digits and single dashes, 2 to 40 characters, because a container's name has at most 63. */
export const PARTNER_PATTERN = /^(?=.{2,40}$)[a-z0-9]+(?:-[a-z0-9]+)*$/;

export const shareAgreement = z.object({
  version: z.literal(1),
  partner: z.string().regex(PARTNER_PATTERN),
  settings: jobSettings,
  createdAt: z.iso.datetime(),
  /** When the last address that was issued expires. */
  addressExpiresAt: z.iso.datetime(),
});
export type ShareAgreement = z.infer<typeof shareAgreement>;

export function shareContainer(partner: string): ShareContainer {
  if (!PARTNER_PATTERN.test(partner))
    throw new RangeError(`expected the name of a partner, received ${JSON.stringify(partner)}`);
  return `share-${partner}`;
}

/** The partner of a share container; undefined for any other container. */
export function partnerOf(container: string): string | undefined {
  const partner = isShare(container) ? container.slice('share-'.length) : '';
  return PARTNER_PATTERN.test(partner) ? partner : undefined;
}
