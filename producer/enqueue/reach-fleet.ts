/**
 * The fleet that will do the work: the one behind the storage account that is configured; else the local one that `npm start`
 * keeps up for this folder; else a local one of our own, which goes when we go.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

import { findReadyStack } from '../../shared/command/local-stack.ts';
import { exited, spawnNode, stopChild } from '../../shared/runtime/child.ts';
import { type ErrorCode, PermanentError, TransientError } from '../../shared/runtime/errors.ts';
import type { ServiceAnnouncement } from '../../shared/runtime/service.ts';
import type { EnqueueConfig } from './config.ts';

const STACK_STOP_GRACE_MS = 45_000;

export interface ReachedFleet extends AsyncDisposable {
  readonly kind: 'configured' | 'shared' | 'private';
  readonly mediaStorage: string;
  /** Rejects when a fleet of our own breaks down. Never resolves. */
  readonly failure: Promise<never>;
}

type StackMessage =
  | ServiceAnnouncement
  | { readonly type: 'stack'; readonly environment: Readonly<Record<string, string>> };

const NEVER = new Promise<never>(() => undefined);

/** Throws what keeps a fleet of our own from starting; what has been started is stopped then. */
export async function reachFleet(
  config: EnqueueConfig,
  { mayStart, signal }: { readonly mayStart: boolean; readonly signal: AbortSignal },
): Promise<ReachedFleet> {
  if (config.mediaStorage !== undefined) return external('configured', config.mediaStorage);
  const shared = (await findReadyStack(config.localFolder, signal))?.['FRAMEFLEET_MEDIA_STORAGE'];
  if (shared !== undefined) return external('shared', shared);
  if (!mayStart) {
    throw new PermanentError(
      'USAGE',
      '--detach needs a fleet that stays up when this command has ended; there is none.',
      {
        hint: 'Start one with `npm start` in another shell, or leave --detach out.',
      },
    );
  }
  return startPrivate(config, signal);
}

function external(kind: 'configured' | 'shared', mediaStorage: string): ReachedFleet {
  return { kind, mediaStorage, failure: NEVER, [Symbol.asyncDispose]: () => Promise.resolve() };
}

/** In a process group of its own: Ctrl-C reaches us, and we stop it in order. */
async function startPrivate(
  { stackProgram, environment }: EnqueueConfig,
  signal: AbortSignal,
): Promise<ReachedFleet> {
  signal.throwIfAborted();
  const child = spawnNode(stackProgram, ['--private'], {
    env: { ...environment },
    detached: true,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const dispose = async (): Promise<void> => {
    await stopChild(child, { graceMs: STACK_STOP_GRACE_MS });
  };
  const failure = failureOf(child);
  failure.catch(() => undefined); // Raced with everything we wait for.
  try {
    const [message] = (await Promise.race([once(child, 'message', { signal }), failure])) as [StackMessage];
    const mediaStorage =
      message.type === 'stack' ? message.environment['FRAMEFLEET_MEDIA_STORAGE'] : undefined;
    if (mediaStorage === undefined) return await failure;
    return { kind: 'private', mediaStorage, failure, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function failureOf(child: ChildProcess): Promise<never> {
  let said: { code: ErrorCode; message: string; hint: string | undefined } | undefined;
  child.on('message', (message: StackMessage) => {
    if (message.type === 'failed') said = message;
  });
  const { status, signal } = await exited(child);
  if (said !== undefined)
    throw new TransientError(said.code, said.message, said.hint === undefined ? {} : { hint: said.hint });
  throw new TransientError(
    'STACK_FAILED',
    `The local fleet ended before the job did (${signal ?? `exit status ${status}`}).`,
    {
      hint: 'Nothing was lost but time: run the command again.',
    },
  );
}
