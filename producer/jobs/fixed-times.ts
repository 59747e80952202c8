/** The parts of a job's time that do not grow with its frames, on a fleet that is up. Measured: docs/performance.md. PURE. */

/** Until the first batch of the split is on the queue and a worker has loaded the model. */
export const START_SECONDS = 2.5;
/** From the last scored frame to the result: the last report, the check of the result, and the wait between two looks. */
export const END_SECONDS = 2;
