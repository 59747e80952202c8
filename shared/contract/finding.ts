/** The findings of `npm run doctor`, as JSON for other programs. PURE. */
import { z } from 'zod';

/**
 * right    no action needed
 * warning  jobs can run, but with restrictions, or the check could not be completed
 * wrong    jobs cannot run
 */
export const VERDICTS = ['right', 'warning', 'wrong'] as const;

const finding = z.object({
  /** The subject of the check, in one word: `quota`. */
  topic: z.string(),
  verdict: z.enum(VERDICTS),
  says: z.string(),
  /** The next step; absent if the verdict is `right`. */
  todo: z.string().optional(),
});
export type Finding = Readonly<z.infer<typeof finding>>;

/** The output of `npm run doctor` with `--json`. */
export const doctorReport = z.object({ findings: z.array(finding) });
export type DoctorReport = z.infer<typeof doctorReport>;
