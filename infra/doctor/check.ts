/**
 * Runs all checks at the same time, each with a time limit. A check that fails or exceeds its limit becomes a warning and
 * does not affect the other checks.
 */
import type { Finding } from '../../shared/contract/finding.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import { describeError } from '../../shared/runtime/errors.ts';
import { within } from '../../shared/runtime/within.ts';
import { warningFinding } from './finding.ts';

/** Azure's list of VM sizes is several megabytes. */
const CHECK_MS = 45_000;

export interface Check {
  readonly topic: string;
  run(signal: AbortSignal): Promise<readonly Finding[]>;
}

/** Returns the findings in the order of the checks. */
export async function runChecks(checks: readonly Check[], clock: Clock): Promise<Finding[]> {
  const found = await Promise.all(
    checks.map(async (check) => {
      try {
        return await within((signal) => check.run(signal), { clock, boundMs: CHECK_MS });
      } catch (error) {
        return [
          warningFinding(
            check.topic,
            `the check failed: ${describeError(error)}`,
            'Run `npm run doctor` again in a minute.',
          ),
        ];
      }
    }),
  );
  return found.flat();
}
