/** Formats a finding and its hint as one line, for tests that compare the full text. */
import type { Finding } from '../../shared/contract/finding.ts';

export function findingLine({ topic, verdict, says, todo = '' }: Finding): string {
  return `${verdict} ${topic}: ${says} | ${todo}`;
}
