/**
 * The lifecycle of a long-running program: start, announce, run, stop.
 *
 * A service stops on SIGTERM or SIGINT, when the parent at the other end of its IPC channel is gone, or when one of its loops
 * fails. It aborts its signal, waits for its loops, and calls the functions registered with `onStop` in reverse order. The process
 * ends after the grace period at the latest. Further signals change nothing, except another Ctrl-C, which ends the process at once.
 */
import { EXIT, type ErrorCode, FleetError, describeError, exitStatusOf } from './errors.ts';
import type { Log } from './log.ts';
import { onStopSignals } from './stop-signals.ts';

/** Long enough to finish a frame and release a batch, short enough to wait for at a terminal. */
export const STOP_GRACE_MS = 8_000;

export interface ServiceOptions {
  readonly createLog: () => Log;
  /** Longer for a service that waits for other processes to stop. */
  readonly stopGraceMs?: number;
  /** Reports a failure instead of the log, in a program that a user has started. */
  readonly complain?: (error: unknown) => void;
}

/** What a service sends to its parent on the IPC channel. */
export type ServiceAnnouncement =
  | { readonly type: 'ready'; readonly port: number; readonly pagePort?: number }
  | {
      readonly type: 'failed';
      readonly code: ErrorCode;
      readonly message: string;
      readonly hint: string | undefined;
    };

export interface Service {
  /** Aborted when the service begins to stop. */
  readonly signal: AbortSignal;
  /** Registers a function to call when the service stops; the last one registered is called first. */
  onStop(undo: () => unknown): void;
  /** Runs a loop in the background. It must end when the signal is aborted. If it fails, the service stops. */
  run(name: string, loop: () => Promise<void>): void;
  /** Begins to stop, as on SIGTERM. */
  stop(reason: string): void;
  /** Reports that the service is up, its HTTP port, and the port of its web page, if it has one. */
  announceReady(port: number, pagePort?: number): void;
}

/** Runs a service until it has stopped, then ends the process. Never returns. */
export async function runService(
  { createLog, stopGraceMs = STOP_GRACE_MS, complain }: ServiceOptions,
  start: (service: Service, log: Log) => Promise<void>,
): Promise<void> {
  const stopping = new AbortController();
  const undoing: (() => unknown)[] = [];
  const loops: Promise<void>[] = [];
  let log: Log | undefined;
  let status = 0;

  const fail = (error: unknown, doing: string): void => {
    if (stopping.signal.aborted) return;
    status = exitStatusOf(error);
    announceFailure(error);
    if (complain !== undefined) complain(error);
    else if (log === undefined) process.stderr.write(`${describeError(error)}\n`);
    else log.fatal({ error, doing }, 'service failed');
    stopping.abort(new Error('the service failed', { cause: error }));
  };
  const stop = (reason: string): void => {
    if (stopping.signal.aborted) return;
    log?.info({ reason }, 'service stopping');
    stopping.abort(new Error(`the service is stopping: ${reason}`));
  };
  onStopSignals({
    first: stop,
    // SIGTERM may arrive twice: from a parent that stops the service, and from the kernel when that parent ends.
    again: (signal) => {
      if (signal === 'SIGINT') process.exit(EXIT.interrupted);
    },
  });
  process.once('disconnect', () => stop('parent gone'));
  // If the parent ended while this program was loading, the event has already been emitted.
  if ('connected' in process && !process.connected) stop('parent gone');
  process.once('uncaughtException', (error) => fail(error, 'running code outside its loops'));
  process.once('unhandledRejection', (error) => fail(error, 'running code outside its loops'));

  const stopped = new Promise<void>((resolve) => {
    if (stopping.signal.aborted) resolve();
    else stopping.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  try {
    log = createLog();
    await start(
      {
        signal: stopping.signal,
        onStop: (undo) => undoing.push(undo),
        run: (name, loop) => loops.push(loop().catch((error: unknown) => fail(error, name))),
        stop,
        announceReady: (port, pagePort) => {
          const ports = { port, ...(pagePort !== undefined && { pagePort }) };
          announce({ type: 'ready', ...ports });
          log?.info({ ...ports, pid: process.pid }, 'service ready');
        },
      },
      log,
    );
  } catch (error) {
    fail(error, 'starting');
  }
  await stopped;
  setTimeout(() => process.exit(status === 0 ? 1 : status), stopGraceMs).unref();
  await Promise.allSettled(loops);
  await undoAll(undoing, log);
  process.exit(status);
}

async function undoAll(undoing: (() => unknown)[], log: Log | undefined): Promise<void> {
  for (const undo of undoing.toReversed()) {
    try {
      await undo();
    } catch (error) {
      log?.warn({ error }, 'cleaning up failed');
    }
  }
}

function announce(announcement: ServiceAnnouncement): void {
  // Without a callback, a parent that has just ended would be an uncaught error. `disconnect` reports it.
  process.send?.(announcement, undefined, undefined, () => undefined);
}

function announceFailure(error: unknown): void {
  if (error instanceof FleetError) {
    announce({ type: 'failed', code: error.code, message: error.message, hint: error.hint });
  } else {
    announce({ type: 'failed', code: 'INTERNAL', message: describeError(error), hint: undefined });
  }
}
