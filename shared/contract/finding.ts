/** The findings of `npm run doctor`, as JSON for other programs. PURE. */
import { z } from 'zod';

/**
 * ok       no action needed
 * warning  jobs can run, but with restrictions, or the check could not be completed
 * error    jobs cannot run
 */
export const VERDICTS = ['ok', 'warning', 'error'] as const;

const finding = z.object({
  /** The subject of the check, in one word: `quota`. */
  topic: z.string(),
  verdict: z.enum(VERDICTS),
  message: z.string(),
  /** The next step; absent if the verdict is `ok`. */
  hint: z.string().optional(),
});
export type Finding = Readonly<z.infer<typeof finding>>;

/** The output of `npm run doctor` with `--json`. */
export const doctorReport = z.object({ findings: z.array(finding) });
export type DoctorReport = z.infer<typeof doctorReport>;
