/** What was done with a video, as a part of its result's name: `starry-night` in `holiday.starry-night.mp4`. PURE. */
import type { JobSettings } from '../../shared/contract/job.ts';

export function resultLabel({ model, parameters }: Pick<JobSettings, 'model' | 'parameters'>): string {
  return parameters['style']?.replace(/[^a-z0-9-]+/g, '-') ?? model.name;
}
