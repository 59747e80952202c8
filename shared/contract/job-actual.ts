/**
 * What a job took, in its report: machine time and money by part, and its stages. PURE. Times are whole milliseconds and money is whole millionths
 * of the currency, so that the parts add up to the total.
 */
import { z } from 'zod';

const whole = z.int().min(0);

/**
 * inference     the model ran on frames of this job
 * other         machines had a batch, without the model running: decoding, encoding, storage
 * boot          machines booted
 * idle          machines waited for a batch
 * idleExpected  the idle window after the job, not charged to it: expected, as the report is older. 0 if another job needs the machines
 */
const parts = z
  .object({ inference: whole, other: whole, boot: whole, idle: whole, idleExpected: whole, total: whole })
  .refine(({ total, ...each }) => Object.values(each).reduce((sum, part) => sum + part, 0) === total, {
    error: 'expected parts that add up to the total',
  });
export type AmountByPart = z.infer<typeof parts>;

const STAGE_NAMES = ['waiting', 'splitting', 'scoring', 'joining'] as const;

const stage = z.object({
  name: z.enum(STAGE_NAMES),
  from: z.iso.datetime(),
  to: z.iso.datetime(),
});

export const jobActual = z.object({
  machineMs: parts,
  /** Null if the machines have no price. */
  micros: parts.nullable(),
  /** In the order in which they began. Stages overlap: scoring begins when the first batch is on the queue, and so includes the boot. */
  stages: z.array(stage),
  /** From the request, or from when the job was opened again for a retry, to the report. */
  wallMs: whole,
});
export type JobActual = z.infer<typeof jobActual>;
