/** The part of a result's file name that says what was done: `starry-night` in `holiday.starry-night.mp4`. PURE. */
import type { JobSettings } from '../../shared/contract/job.ts';

export function resultLabel({ model, parameters }: Pick<JobSettings, 'model' | 'parameters'>): string {
  return parameters['style']?.replace(/[^a-z0-9-]+/g, '-') ?? model.name;
}
