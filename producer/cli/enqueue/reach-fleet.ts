/**
 * Chooses the fleet that runs the job: the one that uses the configured storage account; else the local fleet that `npm start`
 * keeps up for this folder; else a private local fleet, which is removed when the command ends.
 */
import { findReadyStack } from '../../../shared/command/local-stack.ts';
import { type OwnFleet, startOwnFleet } from '../../../shared/command/own-fleet.ts';
import { PermanentError } from '../../../shared/runtime/errors.ts';
import type { EnqueueConfig } from './config.ts';

export interface ReachedFleet extends AsyncDisposable {
  readonly mediaStorage: string;
  /** Undefined if it is not configured: a job needs the media account only. */
  readonly systemStorage: string | undefined;
  /** Rejects when a private fleet ends by itself. Never resolves. */
  readonly failure: Promise<never>;
  /** The private fleet, or null for a fleet that stays up when the command ends. */
  readonly own: OwnFleet | null;
}

const NEVER = new Promise<never>(() => undefined);

/** `onStart` is called before a private fleet starts. Throws the reason why it cannot. Then no process is left running. */
export async function reachFleet(
  config: EnqueueConfig,
  {
    mayStart,
    onStart,
    signal,
  }: { readonly mayStart: boolean; readonly onStart: () => void; readonly signal: AbortSignal },
): Promise<ReachedFleet> {
  if (config.mediaStorage !== undefined) return permanentFleet(config.mediaStorage, config.systemStorage);
  const shared = await findReadyStack(config.localFolder, signal);
  const media = shared?.['FRAMEFLEET_MEDIA_STORAGE'];
  if (media !== undefined) return permanentFleet(media, shared?.['FRAMEFLEET_SYSTEM_STORAGE']);
  if (!mayStart) {
    throw new PermanentError(
      'USAGE',
      'Cannot use --detach: it needs a fleet that stays up when this command ends, and none runs in this folder.',
      { hint: 'Start a local fleet with `npm start` in another shell, or omit --detach.' },
    );
  }
  onStart();
  const own = await startOwnFleet({
    args: ['--private'],
    environment: config.environment,
    signal,
  });
  const { mediaStorage, systemStorage, failure } = own;
  return {
    mediaStorage,
    systemStorage,
    failure,
    own,
    [Symbol.asyncDispose]: () => own[Symbol.asyncDispose](),
  };
}

function permanentFleet(mediaStorage: string, systemStorage: string | undefined): ReachedFleet {
  return {
    mediaStorage,
    systemStorage,
    failure: NEVER,
    own: null,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
