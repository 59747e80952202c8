/**
 * A local fleet that a command starts for itself, as a child in a process group of its own: Ctrl-C reaches the command, and the
 * command stops it in order. It stops by itself when the command is gone.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

import { spawnNode, stopChild, waitForExit } from '../../shared/runtime/child.ts';
import type { Environment } from '../../shared/runtime/environment.ts';
import { type ErrorCode, TransientError } from '../../shared/runtime/errors.ts';
import type { ServiceAnnouncement } from '../../shared/runtime/service.ts';

const STOP_GRACE_MS = 45_000;

export interface OwnFleet extends AsyncDisposable {
  readonly mediaStorage: string;
  /** Rejects when the fleet ends by itself. Never resolves. */
  readonly failure: Promise<never>;
  /** Makes the fleet move its storage into this folder when it stops, instead of removing it. False if it cannot. */
  keepStorage(folder: string): Promise<boolean>;
}

export interface OwnFleetOptions {
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: Environment;
  /** Aborted while the fleet is starting, it stops it. */
  readonly signal: AbortSignal;
}

type FleetMessage =
  | ServiceAnnouncement
  | { readonly type: 'stack'; readonly environment: Readonly<Record<string, string>> }
  | { readonly type: 'keeps-storage'; readonly canKeep: boolean };

/** Throws what keeps the fleet from starting, or the signal's reason; nothing is left running then. */
export async function startOwnFleet(options: OwnFleetOptions): Promise<OwnFleet> {
  const { program, args, environment, signal } = options;
  signal.throwIfAborted();
  const child = spawnNode(program, args, {
    env: { ...environment },
    detached: true,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const dispose = async (): Promise<void> => {
    await stopChild(child, { graceMs: STOP_GRACE_MS });
  };
  const failure = failureOf(child);
  failure.catch(() => undefined); // Raced with everything that the command waits for.
  try {
    const [message] = await Promise.race([nextMessage(child, signal), failure]);
    const mediaStorage =
      message.type === 'stack' ? message.environment['FRAMEFLEET_MEDIA_STORAGE'] : undefined;
    // It has said why it cannot start, and ends.
    if (mediaStorage === undefined) return await failure;
    return {
      mediaStorage,
      failure,
      async keepStorage(folder) {
        const answer = nextMessage(child);
        child.send({ type: 'keep-storage', folder });
        const [said] = await Promise.race([answer, failure]);
        return said.type === 'keeps-storage' && said.canKeep;
      },
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw signal.aborted ? signal.reason : error;
  }
}

async function nextMessage(child: ChildProcess, signal?: AbortSignal): Promise<[FleetMessage]> {
  return (await once(child, 'message', signal === undefined ? {} : { signal })) as [FleetMessage];
}

async function failureOf(child: ChildProcess): Promise<never> {
  let said: { code: ErrorCode; message: string; hint: string | undefined } | undefined;
  child.on('message', (message: FleetMessage) => {
    if (message.type === 'failed') said = message;
  });
  const { status, signal } = await waitForExit(child);
  if (said !== undefined)
    throw new TransientError(said.code, said.message, said.hint === undefined ? {} : { hint: said.hint });
  throw new TransientError(
    'STACK_FAILED',
    `The local fleet ended before the job did (${signal ?? `exit status ${status}`}).`,
    { hint: 'Run the command again.' },
  );
}
