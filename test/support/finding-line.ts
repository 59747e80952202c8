/** A finding in one line, with what to do about it: for tests that read the whole sentence. */
import type { Finding } from '../../shared/contract/finding.ts';

export function findingLine({ topic, verdict, says, todo = '' }: Finding): string {
  return `${verdict} ${topic}: ${says} | ${todo}`;
}
