/** Looks at things at once, each within its time: whatever breaks is a finding too, and keeps no other from being made. */
import type { Finding } from '../../shared/contract/finding.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import { describeError } from '../../shared/runtime/errors.ts';
import { within } from '../../shared/runtime/within.ts';
import { warning } from './finding.ts';

/** A catalogue of sizes is some megabytes. */
const LOOK_MS = 45_000;

export interface Look {
  readonly topic: string;
  find(signal: AbortSignal): Promise<readonly Finding[]>;
}

/** In the order of the looks. */
export async function lookAt(looks: readonly Look[], clock: Clock): Promise<Finding[]> {
  const found = await Promise.all(
    looks.map(async (look) => {
      try {
        return await within((signal) => look.find(signal), { clock, boundMs: LOOK_MS });
      } catch (error) {
        return [
          warning(
            look.topic,
            `It could not be found out: ${describeError(error)}`,
            'Run `npm run doctor` again in a minute.',
          ),
        ];
      }
    }),
  );
  return found.flat();
}
