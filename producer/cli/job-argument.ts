/** The job that a command names on its command line. PURE. */
import { InvalidArgumentError } from 'commander';

import { JOB_ID_PATTERN } from '../../shared/contract/blob-names.ts';

export const JOB_EXAMPLE = '20261123-061502-harbour-9f3a1c';

export function parseJobId(text: string): string {
  if (JOB_ID_PATTERN.test(text)) return text;
  throw new InvalidArgumentError(`Expected a job id such as ${JOB_EXAMPLE}.`);
}
