/** What `npm run doctor` finds, as one program tells another. PURE. */
import { z } from 'zod';

/**
 * right    nothing to do
 * warning  jobs run, with less than they could have, or it could not be found out
 * wrong    no job would get through
 */
export const VERDICTS = ['right', 'warning', 'wrong'] as const;

const finding = z.object({
  /** What was looked at, in a word: `quota`. */
  topic: z.string(),
  verdict: z.enum(VERDICTS),
  says: z.string(),
  /** What to do about it; not there where all is right. */
  todo: z.string().optional(),
});
export type Finding = Readonly<z.infer<typeof finding>>;

/** What it prints with `--json`. */
export const doctorReport = z.object({ findings: z.array(finding) });
export type DoctorReport = z.infer<typeof doctorReport>;
