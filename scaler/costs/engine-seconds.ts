/** Engine-seconds, the unit of work: how long one engine needs for the frames of a job. PURE. */
import { MEGAPIXELS_PER_SECOND_ASSUMED } from '../../shared/contract/limits.ts';
import type { JobBacklog, Observation } from '../observe/observation.ts';

/** The lower bound of a recorded rate. It keeps one wrong record from making a frame look like days of work. */
const MEGAPIXELS_PER_SECOND_MIN = 0.01;

type Rates = Observation['ratesByModel'];

/** Megapixels per second of one engine with the model. A model without a recorded rate is assumed to be slow. */
export function engineRate(model: string, ratesByModel: Rates): number {
  const rate = ratesByModel.get(model);
  return rate !== undefined && rate > 0
    ? Math.max(MEGAPIXELS_PER_SECOND_MIN, rate)
    : MEGAPIXELS_PER_SECOND_ASSUMED;
}

/** Engine-seconds left of a job. */
export function engineSecondsOf(
  {
    model,
    framesRemaining,
    megapixelsPerFrame,
  }: Pick<JobBacklog, 'model' | 'framesRemaining' | 'megapixelsPerFrame'>,
  ratesByModel: Rates,
): number {
  return (framesRemaining * megapixelsPerFrame) / engineRate(model, ratesByModel);
}
