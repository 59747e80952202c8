/** Times of a job that are not measured by the fleet itself, from docs/performance.md. The seconds do not grow with the frames. PURE. */

/** Until the first batch of the split is on the queue and a worker has loaded the model. */
export const START_SECONDS = 2.5;
/** Of a split: the download of the source and the look at its tracks. */
export const SPLIT_START_SECONDS = 1;
/** From the last scored frame to the result: the last report, the check of the result, and the wait between two looks. */
export const END_SECONDS = 2;

/** Megapixels per second of the join, until it is measured. */
export const JOIN_RATE_ASSUMED = 400;
