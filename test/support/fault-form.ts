/**
 * The two forms of a fault suite: short in `npm test`, long in `npm run test:faults`; and the seed of its random choices, printed
 * so that a failure can be replayed with `FAULTS_SEED=… `.
 */
import { randomInt } from 'node:crypto';

const IS_LONG = process.env['FAULTS_FORM'] === 'long';

/** Returns the value for the current form. */
export function inForm<T>({ short, long }: { readonly short: T; readonly long: T }): T {
  return IS_LONG ? long : short;
}

/** The seed of this run, printed once for each suite. */
export function printedSeed(suite: string): number {
  const seed = Number(process.env['FAULTS_SEED'] ?? randomInt(2 ** 31));
  process.stdout.write(`${suite}: replay with FAULTS_SEED=${seed}\n`);
  return seed;
}
