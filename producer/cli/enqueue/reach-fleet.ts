/**
 * The fleet that will do the work: the one behind the storage account that is configured; else the local one that `npm start`
 * keeps up for this folder; else a local one of the command's own, which is removed when the command ends.
 */
import { findReadyStack } from '../../../shared/command/local-stack.ts';
import { PermanentError } from '../../../shared/runtime/errors.ts';
import { type OwnFleet, startOwnFleet } from '../own-fleet.ts';
import type { EnqueueConfig } from './config.ts';

export interface ReachedFleet extends AsyncDisposable {
  readonly mediaStorage: string;
  /** Rejects when a fleet of the command's own ends by itself. Never resolves. */
  readonly failure: Promise<never>;
  /** The command's own fleet, or null for one that stays when the command ends. */
  readonly own: OwnFleet | null;
}

const NEVER = new Promise<never>(() => undefined);

/** Throws what keeps a fleet of the command's own from starting; what has been started is stopped then. */
export async function reachFleet(
  config: EnqueueConfig,
  { mayStart, signal }: { readonly mayStart: boolean; readonly signal: AbortSignal },
): Promise<ReachedFleet> {
  if (config.mediaStorage !== undefined) return staying(config.mediaStorage);
  const shared = (await findReadyStack(config.localFolder, signal))?.['FRAMEFLEET_MEDIA_STORAGE'];
  if (shared !== undefined) return staying(shared);
  if (!mayStart) {
    throw new PermanentError(
      'USAGE',
      '--detach needs a fleet that stays up when this command has ended; there is none.',
      { hint: 'Start one with `npm start` in another shell, or leave --detach out.' },
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

function staying(mediaStorage: string): ReachedFleet {
  return { mediaStorage, failure: NEVER, own: null, [Symbol.asyncDispose]: () => Promise.resolve() };
}
