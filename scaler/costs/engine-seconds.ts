/** The unit of work: seconds of one engine. PURE. */
import { MEGAPIXELS_PER_SECOND_ASSUMED } from '../../shared/contract/limits.ts';
import type { JobBacklog, Observation } from '../observe/observation.ts';

/** A lower recorded rate is taken for this one: a wrong record must not turn minutes for a frame into days. */
const MEGAPIXELS_PER_SECOND_MIN = 0.01;

type Rates = Observation['ratesByModel'];

/** Megapixels a second of one engine with the model. One that nobody has run is taken for slow. */
export function rateOf(model: string, ratesByModel: Rates): number {
  const rate = ratesByModel.get(model);
  return rate !== undefined && rate > 0
    ? Math.max(MEGAPIXELS_PER_SECOND_MIN, rate)
    : MEGAPIXELS_PER_SECOND_ASSUMED;
}

/** What is left of a job. */
export function engineSecondsOf(
  {
    model,
    framesRemaining,
    megapixelsPerFrame,
  }: Pick<JobBacklog, 'model' | 'framesRemaining' | 'megapixelsPerFrame'>,
  ratesByModel: Rates,
): number {
  return (framesRemaining * megapixelsPerFrame) / rateOf(model, ratesByModel);
}
