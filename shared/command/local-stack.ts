/** Finds the local fleet that `npm start` keeps up for a folder. */
import { systemClock } from '../runtime/clock.ts';
import { TransientError } from '../runtime/errors.ts';
import { findStack } from '../runtime/rendezvous.ts';

const STARTING_TRIES = 300;
const STARTING_REST_MS = 200;

/** The `FRAMEFLEET_*` variables to reach the fleet with; undefined if none runs. Waits while it starts. Throws STACK_FAILED. */
export async function findReadyStack(
  folder: string,
  signal?: AbortSignal,
): Promise<Readonly<Record<string, string>> | undefined> {
  for (let attempt = 0; attempt < STARTING_TRIES; attempt += 1) {
    const card = await findStack(folder);
    if (card === undefined) return undefined;
    if (Object.keys(card.environment).length > 0) return card.environment;
    await systemClock.sleep(STARTING_REST_MS, signal);
  }
  throw new TransientError(
    'STACK_FAILED',
    `The local fleet of this folder is still starting after ${(STARTING_TRIES * STARTING_REST_MS) / 1000} s.`,
    {
      hint: 'Check the output of `npm start`, then stop it and start it again.',
    },
  );
}
