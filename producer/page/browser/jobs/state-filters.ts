/** The states by which the list can be filtered. PURE. */
import type { JobState } from '../../../../shared/contract/job.ts';

export interface StateFilter {
  readonly label: string;
  /** Empty: all. */
  readonly states: readonly JobState[];
}

export const JOB_STATE_FILTERS: readonly StateFilter[] = [
  { label: 'All', states: [] },
  { label: 'Open', states: ['waiting', 'running'] },
  { label: 'Completed', states: ['completed'] },
  { label: 'Failed', states: ['failed'] },
  { label: 'Cancelled', states: ['cancelled'] },
];
