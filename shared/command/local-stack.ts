/** The local fleet that `npm start` keeps up for a folder, as the commands find it. */
import { systemClock } from '../runtime/clock.ts';
import { TransientError } from '../runtime/errors.ts';
import { findStack } from '../runtime/rendezvous.ts';

const STARTING_TRIES = 300;
const STARTING_REST_MS = 200;

/** The `FRAMEFLEET_*` variables it is reached by, or undefined where there is none. Waits while it is starting. */
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
    'The local fleet of this folder is starting, but does not come up.',
    {
      hint: 'Look at the shell where `npm start` runs; stop it and start it again.',
    },
  );
}
