/** Formats what `npm run share` prints. PURE. */
import { instantText, textTable } from '../../../shared/command/text.ts';
import type { JobSettings } from '../../../shared/contract/job.ts';
import type { ShareAgreement } from '../../../shared/contract/share.ts';

export interface Share {
  readonly partner: string;
  /** Null if it cannot be read. */
  readonly agreement: ShareAgreement | null;
  /** Files in the container; null if the container does not exist. */
  readonly waiting: number | null;
}

const HEADER = ['PARTNER', 'SETTINGS', 'SINCE', 'ADDRESS EXPIRES', 'WAITING'];

export function shareTable(shares: readonly Share[], now: Date): string {
  const rows = shares.map(({ partner, agreement, waiting }) => {
    const count = waiting === null ? 'no container' : String(waiting);
    if (agreement === null) return [partner, 'unreadable: open the share again', '-', '-', count];
    const { settings, createdAt, addressExpiresAt } = agreement;
    const isExpired = Date.parse(addressExpiresAt) <= now.getTime();
    const until = isExpired ? 'expired' : instantText(addressExpiresAt);
    return [partner, settingsText(settings), instantText(createdAt), until, count];
  });
  return textTable(HEADER, rows);
}

/** `painter, style great-wave, low priority, at most 20`. */
export function settingsText({ model, parameters, priority, spendingMax }: JobSettings): string {
  return [
    model.version === undefined ? model.name : `${model.name}@${model.version}`,
    ...Object.entries(parameters).map(([name, value]) => `${name} ${value}`),
    `${priority} priority`,
    ...(spendingMax === undefined ? [] : [`at most ${spendingMax}`]),
  ].join(', ');
}

/** A command that uploads one file. The query string of the address is its signature, so the file name goes before it. */
export function uploadExample(address: string): string {
  const { origin, pathname, search } = new URL(address);
  return `curl --upload-file clip.mp4 --header 'x-ms-blob-type: BlockBlob' '${origin}${pathname}/clip.mp4${search}'`;
}
