/**
 * Chooses the fleet that runs the job: the one that uses the configured storage account; else the local fleet that `npm start`
 * keeps up for this folder; else a private local fleet, which is removed when the command ends.
 */
import { findReadyStack } from '../../../shared/command/local-stack.ts';
import { PermanentError } from '../../../shared/runtime/errors.ts';
import { type OwnFleet, startOwnFleet } from '../own-fleet.ts';
import type { EnqueueConfig } from './config.ts';

export interface ReachedFleet extends AsyncDisposable {
  readonly mediaStorage: string;
  /** Rejects when a private fleet ends by itself. Never resolves. */
  readonly failure: Promise<never>;
  /** The private fleet, or null for a fleet that stays up when the command ends. */
  readonly own: OwnFleet | null;
}

const NEVER = new Promise<never>(() => undefined);

/** Throws the reason why a private fleet cannot start. Then no process is left running. */
export async function reachFleet(
  config: EnqueueConfig,
  { mayStart, signal }: { readonly mayStart: boolean; readonly signal: AbortSignal },
): Promise<ReachedFleet> {
  if (config.mediaStorage !== undefined) return permanentFleet(config.mediaStorage);
  const shared = (await findReadyStack(config.localFolder, signal))?.['FRAMEFLEET_MEDIA_STORAGE'];
  if (shared !== undefined) return permanentFleet(shared);
  if (!mayStart) {
    throw new PermanentError(
      'USAGE',
      'Cannot use --detach: it needs a fleet that stays up when this command ends, and none runs in this folder.',
      { hint: 'Start a local fleet with `npm start` in another shell, or omit --detach.' },
    );
  }
  const own = await startOwnFleet({
    program: config.stackProgram,
    args: ['--private'],
    environment: config.environment,
    signal,
  });
  const { mediaStorage, failure } = own;
  return { mediaStorage, failure, own, [Symbol.asyncDispose]: () => own[Symbol.asyncDispose]() };
}

function permanentFleet(mediaStorage: string): ReachedFleet {
  return { mediaStorage, failure: NEVER, own: null, [Symbol.asyncDispose]: () => Promise.resolve() };
}
