/** What `npm run share` says. PURE. */
import { instantText, textTable } from '../../../shared/command/text.ts';
import type { JobSettings } from '../../../shared/contract/job.ts';
import type { ShareAgreement } from '../../../shared/contract/share.ts';

export interface Share {
  readonly partner: string;
  /** Null where it cannot be read. */
  readonly agreement: ShareAgreement | null;
  /** Null where the container is gone. */
  readonly waiting: number | null;
}

const HEADER = ['PARTNER', 'BECOMES', 'SINCE', 'ADDRESS WORKS UNTIL', 'WAITING'];

export function shareTable(shares: readonly Share[], now: Date): string {
  const rows = shares.map(({ partner, agreement, waiting }) => {
    const count = waiting === null ? 'no container' : String(waiting);
    if (agreement === null) return [partner, 'unreadable: open it again', '-', '-', count];
    const { settings, createdAt, addressExpiresAt } = agreement;
    const isOver = Date.parse(addressExpiresAt) <= now.getTime();
    const until = isOver ? 'over' : instantText(addressExpiresAt);
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

/** How to put one file there. The address has its signature behind the question mark. */
export function uploadExample(address: string): string {
  const { origin, pathname, search } = new URL(address);
  return `curl --upload-file clip.mp4 --header 'x-ms-blob-type: BlockBlob' '${origin}${pathname}/clip.mp4${search}'`;
}
