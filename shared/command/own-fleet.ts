/**
 * Starts a local fleet for one command, as a child in its own process group: Ctrl-C reaches only the command, which then stops the
 * fleet in order. The fleet stops by itself if the command is killed.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { spawnNode, stopChild, waitForExit } from '../runtime/child.ts';
import type { Environment } from '../runtime/environment.ts';
import { type ErrorCode, TransientError } from '../runtime/errors.ts';
import type { ServiceAnnouncement } from '../runtime/service.ts';

const STOP_GRACE_MS = 45_000;

export interface OwnFleet extends AsyncDisposable {
  readonly mediaStorage: string;
  readonly systemStorage: string | undefined;
  /** Rejects when the fleet ends by itself. Never resolves. */
  readonly failure: Promise<never>;
  /** Makes the fleet move its storage to this folder when it stops, instead of removing it. Returns false if it cannot. */
  keepStorage(folder: string): Promise<boolean>;
}

const STACK_PROGRAM = fileURLToPath(new URL('../../infra/local/main.ts', import.meta.url));

export interface OwnFleetOptions {
  /** The modes of `infra/local/main.ts`. */
  readonly args: readonly string[];
  readonly environment: Environment;
  /** Stops the fleet if it is aborted during the start. */
  readonly signal: AbortSignal;
}

type FleetMessage =
  | ServiceAnnouncement
  | { readonly type: 'stack'; readonly environment: Readonly<Record<string, string>> }
  | { readonly type: 'keeps-storage'; readonly canKeep: boolean };

/** Throws the reason why the fleet cannot start, or the signal's reason. Then no process is left running. */
export async function startOwnFleet(options: OwnFleetOptions): Promise<OwnFleet> {
  const { args, environment, signal } = options;
  signal.throwIfAborted();
  const child = spawnNode(STACK_PROGRAM, args, {
    env: { ...environment },
    detached: true,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const dispose = async (): Promise<void> => {
    await stopChild(child, { graceMs: STOP_GRACE_MS });
  };
  const failure = failureOf(child);
  failure.catch(() => undefined); // Callers race it with their work. It must not count as unhandled before that.
  try {
    const [message] = await Promise.race([nextMessage(child, signal), failure]);
    const reached = message.type === 'stack' ? message.environment : {};
    const mediaStorage = reached['FRAMEFLEET_MEDIA_STORAGE'];
    // The fleet has sent the reason why it cannot start, and ends: `failure` rejects with it.
    if (mediaStorage === undefined) return await failure;
    return {
      mediaStorage,
      systemStorage: reached['FRAMEFLEET_SYSTEM_STORAGE'],
      failure,
      async keepStorage(folder) {
        const answer = nextMessage(child);
        child.send({ type: 'keep-storage', folder });
        const [reply] = await Promise.race([answer, failure]);
        return reply.type === 'keeps-storage' && reply.canKeep;
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
  let reported: { code: ErrorCode; message: string; hint: string | undefined } | undefined;
  child.on('message', (message: FleetMessage) => {
    if (message.type === 'failed') reported = message;
  });
  const { status, signal } = await waitForExit(child);
  if (reported !== undefined) {
    const { code, message, hint } = reported;
    throw new TransientError(code, message, hint === undefined ? {} : { hint });
  }
  throw new TransientError(
    'STACK_FAILED',
    `The local fleet ended before the job did (${signal ?? `exit status ${status}`}).`,
    { hint: 'Run the command again.' },
  );
}
